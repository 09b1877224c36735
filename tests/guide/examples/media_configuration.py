# Media Configuration: video, audio, desktop share, transcript language
import json
import sys

import rtms_gevent as rtms

client = rtms.Client()

# Full control - set only the fields you want to change
params = rtms.VideoParams()
params.codec = rtms.VideoCodec.H264
params.resolution = rtms.VideoResolution.HD
params.fps = 30
params.data_opt = rtms.DataOption.VIDEO_SINGLE_ACTIVE_STREAM
client.set_video_params(params)

# Receive a single mixed stream instead of the default per-participant streams
params = rtms.AudioParams()
params.data_opt = rtms.DataOption.AUDIO_MIXED_STREAM
client.set_audio_params(params)

params = rtms.DeskshareParams()
params.codec = rtms.VideoCodec.H264
params.resolution = rtms.VideoResolution.FHD
params.fps = 5
client.set_deskshare_params(params)

# Hint the source language - skips auto-detect, transcription starts immediately
params = rtms.TranscriptParams()
params.src_language = rtms.TranscriptLanguage.ENGLISH
client.set_transcript_params(params)


@client.on_audio_data
@client.on_video_data
@client.on_deskshare_data
@client.on_transcript_data
def on_data(data, size, timestamp, metadata):
    print(data.decode())


client.join(json.loads(sys.argv[1]))
rtms.run(stop_on_empty=True)
