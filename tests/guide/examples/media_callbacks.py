# Media Callbacks
import json
import sys

import rtms_gevent as rtms

client = rtms.Client()


# Transcript - text data with speaker info
@client.on_transcript_data
def on_transcript(data, size, timestamp, metadata):
    print(f"[{timestamp}] {metadata.userName}: {data.decode()}")


# Audio - raw PCM / Opus frames
@client.on_audio_data
def on_audio(data, size, timestamp, metadata):
    print(f"Audio: {len(data)}B from {metadata.userName}")


# Video - H.264 / raw frames
@client.on_video_data
def on_video(data, size, timestamp, metadata):
    print(f"Video: {size}B from {metadata.userName}")


# Desktop share
@client.on_deskshare_data
def on_deskshare(data, size, timestamp, metadata):
    print(f"Deskshare: {size}B from {metadata.userName}")


# Speaker identification with mixed audio
@client.on_active_speaker_event
def on_speaker(timestamp, user_id, user_name):
    print(f"Active speaker: {user_name} ({user_id})")


client.join(json.loads(sys.argv[1]))
rtms.run(stop_on_empty=True)
