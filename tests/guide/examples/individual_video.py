# Individual Video Streams
import json
import sys

import rtms_gevent as rtms

client = rtms.Client()

# Must be called before join() - switches from composite to per-participant streams
params = rtms.VideoParams()
params.data_opt = rtms.DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM
client.set_video_params(params)


# Subscribe when a participant joins, unsubscribe when they leave
@client.on_user_update
def on_user(op, participant):
    if op == rtms.USER_JOIN and participant.id:
        client.subscribe_video(participant.id, True)
    if op == rtms.USER_LEAVE and participant.id:
        client.subscribe_video(participant.id, False)


# Fires when a participant's video turns on or off
@client.on_participant_video
def on_participant_video(user_ids, is_on):
    print(f"Video {'on' if is_on else 'off'} for users: {user_ids}")


# Fires with the subscription result for each subscribe_video() call
@client.on_video_subscribed
def on_video_subscribed(user_id, status, error):
    print(f"subscribe_video({user_id}): status={status}" + (f" error={error}" if error else ""))


@client.on_video_data
def on_video(data, size, timestamp, metadata):
    print(f"Video: {size}B from {metadata.userName}")


client.join(json.loads(sys.argv[1]))
rtms.run(stop_on_empty=True)
