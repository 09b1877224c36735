"""What the scripts of :mod:`.redis_scripts` have in common: keys, and functions in Lua.

What is kept, by the ends of the keys:

- ``starts``: a Redis stream with an entry for each stream that waits or is owned. A consumer group
  hands each to one worker, with which it stays pending: its idle time is the lease, its delivery
  counter the fence.
- ``streams``: by id of a stream, as JSON: ``fence``; ``since`` (ms: offered, claimed or ended);
  ``entry`` in ``starts``; ``owner``; ``takeover`` (it has been owned before); ``ended``; ``over``
  (forget it when its letters are read); ``sent`` (letters so far).
- ``documents``, ``progress``: by id of a stream.
- ``letters``: by id of a stream, a line for each letter: its number and the document.
- ``due``: when (ms) streams are forgotten that wait or have ended.
- ``hints``: an entry for each stream that is offered, so that workers wake.
- ``workers``, ``seen``: what workers say of themselves, and when (ms).
- ``deliveries``: when (s, by the clocks of the workers) webhooks were delivered.

All other times are those of Redis, so that the clocks of machines do not matter.
"""

from __future__ import annotations

from .store import ENDED_KEPT, OFFERS_KEPT

__all__ = ["COMMON", "KEYS"]

#: Ends of the keys, in the order of the scripts.
KEYS = (
    "starts",
    "streams",
    "documents",
    "progress",
    "letters",
    "due",
    "hints",
    "workers",
    "seen",
    "deliveries",
)

#: Begins each script.
COMMON = (
    f"""
local OFFERS_KEPT, ENDED_KEPT = {OFFERS_KEPT * 1000:.0f}, {ENDED_KEPT * 1000:.0f}
"""
    + """
local STARTS, STREAMS, DOCUMENTS, PROGRESS, LETTERS, DUE, HINTS, WORKERS, SEEN,
      DELIVERIES = unpack(KEYS)
local GROUP = 'workers'
local worker, lease = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function get(id)
  local text = redis.call('HGET', STREAMS, id)
  return text and cjson.decode(text)
end

local function put(id, stream)
  redis.call('HSET', STREAMS, id, cjson.encode(stream))
end

-- Redis may have evicted them, where it is set up so.
local function document_of(id)
  return redis.call('HGET', DOCUMENTS, id) or '{}'
end

local function add_entry(id)
  return redis.call('XADD', STARTS, '*', 'stream', id)
end

local function drop_entry(entry)
  redis.call('XACK', STARTS, GROUP, entry)
  redis.call('XDEL', STARTS, entry)
end

-- Makes the entry of a stream pending with its owner, from now on.
local function give(stream)
  redis.call('XCLAIM', STARTS, GROUP, stream.owner, 0, stream.entry,
             'RETRYCOUNT', stream.fence, 'FORCE', 'JUSTID')
end

-- Makes a stream wait for a worker, for a while.
local function offer(id, stream)
  if stream.entry then drop_entry(stream.entry) end
  stream.owner, stream.since, stream.entry = nil, now, add_entry(id)
  put(id, stream)
  redis.call('XADD', HINTS, 'MAXLEN', '~', 100, '*', 'stream', id)
  redis.call('ZADD', DUE, now + OFFERS_KEPT, id)
end

local function forget(id, stream)
  if stream.entry then drop_entry(stream.entry) end
  for _, key in ipairs({STREAMS, DOCUMENTS, PROGRESS, LETTERS}) do redis.call('HDEL', key, id) end
  redis.call('ZREM', DUE, id)
end

local function send(id, stream, document)
  stream.sent = (stream.sent or 0) + 1
  put(id, stream)
  local waiting = redis.call('HGET', LETTERS, id)
  local letter = string.format('%d %s', stream.sent, document)
  redis.call('HSET', LETTERS, id, waiting and waiting .. '\\n' .. letter or letter)
end

-- Whether a worker was heard of lately.
local function lives(id)
  local seen = id and redis.call('ZSCORE', SEEN, id)
  return seen and now - seen <= lease
end

-- Whether a stream has its entry still. One with its number may be another's: numbers begin anew
-- where all is deleted.
local function has_entry(id, stream)
  local found = redis.call('XRANGE', STARTS, stream.entry, stream.entry)[1]
  return found and found[2][2] == id
end

-- Returns the stream of an entry. Entries that belong to none are dropped.
local function find(entry)
  local found = redis.call('XRANGE', STARTS, entry, entry)[1]
  if found then
    local stream = get(found[2][2])
    if stream and stream.entry == entry then return found[2][2], stream end
  else  -- somebody has deleted it; seldom, so that looking through all is cheap enough
    local all = redis.call('HGETALL', STREAMS)
    for i = 1, #all, 2 do
      local stream = cjson.decode(all[i + 1])
      if stream.entry == entry then
        drop_entry(entry)
        stream.entry = add_entry(all[i])
        put(all[i], stream)
        if stream.owner then give(stream) end
        return all[i], stream
      end
    end
  end
  drop_entry(entry)
end

-- Forgets a worker. What it has waits from now on.
local function forget_worker(id)
  for _, row in ipairs(redis.call('XPENDING', STARTS, GROUP, '-', '+', 100000, id)) do
    local stream_id, stream = find(row[1])
    if stream then offer(stream_id, stream) end
  end
  redis.call('XGROUP', 'DELCONSUMER', STARTS, GROUP, id)
  redis.call('HDEL', WORKERS, id)
  redis.call('ZREM', SEEN, id)
end

-- Makes the group where it is missing: at the very first, or after somebody has deleted it, or the
-- entries. All are delivered then, and those that are owned are given back to their owners.
local function prepare()
  if not redis.pcall('XPENDING', STARTS, GROUP, '-', '+', 1).err then return end
  redis.call('XGROUP', 'CREATE', STARTS, GROUP, '0', 'MKSTREAM')
  local all = redis.call('HGETALL', STREAMS)
  for i = 1, #all, 2 do
    local stream = cjson.decode(all[i + 1])
    if stream.entry and not has_entry(all[i], stream) then
      stream.entry = add_entry(all[i])
      put(all[i], stream)
    end
  end
end
"""
)
