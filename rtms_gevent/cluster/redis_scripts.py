"""Lua for :mod:`.redis_store`: each script is one step of a store.

Commands of Redis 6.2 only. All keys come as ``KEYS``, and share a hash tag, for Redis Cluster. What
is kept there is in :mod:`.redis_lua`.

Every script gets the id of the worker and the lease in ms, and returns the time (ms) first.
"""

from __future__ import annotations

from .redis_lua import COMMON
from .store import DELIVERIES_KEPT

__all__ = [
    "ADD",
    "CLAIM",
    "CLOSE",
    "EXPIRED",
    "LETTERS",
    "NOTE",
    "OFFER",
    "RELEASE",
    "RENEW",
    "SEND",
    "STREAMS",
    "WORKERS",
]

#: id, document -> whether it waits, the owner.
OFFER = (
    COMMON
    + """
local id, document = ARGV[3], ARGV[4]
local stream = get(id)
redis.call('HSET', DOCUMENTS, id, document)
if stream and stream.owner and not stream.ended then
  send(id, stream, document)
  return {now, 0, stream.owner}
end
if stream and stream.ended then
  stream = {fence = stream.fence}
  redis.call('HDEL', PROGRESS, id)
  redis.call('HDEL', LETTERS, id)
end
offer(id, stream or {fence = 0})
return {now, 1}
"""
)

#: id, document, whether it ends the stream -> whether it was sent, the owner.
SEND = (
    COMMON
    + """
local id, document, ends = ARGV[3], ARGV[4], ARGV[5] == '1'
local stream = get(id)
if not stream then return {now, 0} end
if (stream.ended and not lives(stream.owner)) or (ends and not stream.owner) then
  forget(id, stream)
  return {now, 0}
end
stream.over = stream.over or (ends and stream.ended) or nil
send(id, stream, document)
return {now, 1, stream.owner}
"""
)

#: may_expire, time of the last answer, where to look on, whether the answer to a claim was lost,
#: then the streams that the worker knows to be its own -> where to look on, and the claim.
CLAIM = (
    COMMON
    + """
local may_expire, contact, cursor, is_unsure = ARGV[3] == '1', ARGV[4], ARGV[5], ARGV[6] == '1'
prepare()

local function take(id, stream)
  local is_takeover = stream.takeover
  stream.owner, stream.takeover, stream.since = worker, true, now
  stream.fence = stream.fence + 1
  put(id, stream)
  redis.call('ZREM', DUE, id)
  give(stream)
  return {now, cursor, id, stream.fence, document_of(id), is_takeover and 1 or 0,
          redis.call('HGET', PROGRESS, id), redis.call('HEXISTS', LETTERS, id)}
end

-- What it has claimed without getting to know.
if is_unsure then
  local known = {}
  for i = 7, #ARGV do known[ARGV[i]] = true end
  for _, row in ipairs(redis.call('XPENDING', STARTS, GROUP, '-', '+', 10000, worker)) do
    local id, stream = find(row[1])
    if stream and stream.owner == worker and not known[id] then return take(id, stream) end
  end
end

-- What waits.
while true do
  local read = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', 1, 'STREAMS', STARTS, '>')
  if not read then break end
  local id, stream = find(read[1][2][1][1])
  if not stream then  -- forgotten
  elseif stream.owner then
    give(stream)
  elseif not stream.owner and now - stream.since > OFFERS_KEPT then
    drop_entry(stream.entry)
    stream.entry = nil
    put(id, stream)
  else
    return take(id, stream)
  end
end

-- What a silent worker has. Not where this script has waited for long to be run, since Redis stood
-- still or its machine was cut off: then nobody could renew, and idle times say nothing.
if not may_expire or now - contact > 3000 then return {now, cursor} end
local is_last_round = cursor == '0-0'
for _ = 1, 10 do  -- each looks at 10 entries, and the next claim looks on
  local reply = redis.call('XAUTOCLAIM', STARTS, GROUP, worker, lease, cursor, 'COUNT', 1, 'JUSTID')
  cursor = reply[1]
  for _, entries in ipairs({reply[2], reply[3] or {}}) do  -- reply[3]: deleted ones (Redis 7)
    for _, entry in ipairs(entries) do
      local id, stream = find(entry)
      if stream and stream.owner ~= worker then return take(id, stream) end
    end
  end
  if cursor == '0-0' then
    if is_last_round then break end
    is_last_round = true
  end
end
return {now, cursor}
"""
)

#: The worker's JSON, then id, fence and progress of each stream -> ids of those that are lost, that
#: are not known, that have letters.
RENEW = (
    COMMON
    + """
prepare()
redis.call('HSET', WORKERS, worker, ARGV[3])
redis.call('ZADD', SEEN, now, worker)
local lost, unknown, mail = {}, {}, {}
for i = 4, #ARGV, 3 do
  local id = ARGV[i]
  local stream, fence = get(id), tonumber(ARGV[i + 1])
  if stream and not stream.owner and stream.fence < fence then
    -- It was forgotten, and a start came before this renewal: that is the owner's.
    stream.owner, stream.fence, stream.takeover = worker, fence, true
    send(id, stream, document_of(id))
    redis.call('ZREM', DUE, id)
    give(stream)
  end
  if not stream then
    unknown[#unknown + 1] = id
  elseif stream.owner ~= worker or stream.fence ~= fence then
    lost[#lost + 1] = id
  elseif not stream.ended then
    redis.call('HSET', PROGRESS, id, ARGV[i + 2])
    local renewed = redis.call('XCLAIM', STARTS, GROUP, worker, 0, stream.entry, 'JUSTID')
    if #renewed == 0 then  -- somebody has deleted it, or the group
      if not has_entry(id, stream) then
        stream.entry = add_entry(id)
        put(id, stream)
      end
      give(stream)
    end
    if redis.call('HEXISTS', LETTERS, id) == 1 then mail[#mail + 1] = id end
  end
end
return {now, lost, unknown, mail}
"""
)

#: id, fence, progress and document of each stream that is not known.
NOTE = (
    COMMON
    + """
prepare()
for i = 3, #ARGV, 4 do
  local id = ARGV[i]
  if not get(id) then
    local stream = {owner = worker, fence = tonumber(ARGV[i + 1]), since = now, takeover = true}
    stream.entry = add_entry(id)
    put(id, stream)
    redis.call('HSET', PROGRESS, id, ARGV[i + 2])
    redis.call('HSET', DOCUMENTS, id, ARGV[i + 3])
    give(stream)
  end
end
return {now}
"""
)

#: id, fence, progress, whether it has ended -> whether it was ours.
RELEASE = (
    COMMON
    + """
local id, fence, progress, has_ended = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6] == '1'
local stream = get(id)
if not stream or stream.owner ~= worker or stream.fence ~= fence then return {now, 0} end
redis.call('HSET', PROGRESS, id, progress)
if stream.ended then  -- it is said twice
elseif has_ended then
  drop_entry(stream.entry)
  stream.entry, stream.ended, stream.since = nil, true, now
  put(id, stream)
  redis.call('ZADD', DUE, now + ENDED_KEPT, id)
else
  offer(id, stream)
end
return {now, 1}
"""
)

#: id, and the number of the letter that was read last, of each stream -> id and letters of each
#: that has more. Those that were read are dropped.
LETTERS = (
    COMMON
    + """
local found = {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local stream = get(id)
  local letters = stream and stream.owner == worker and redis.call('HGET', LETTERS, id)
  if letters then
    local new = {}
    for line in string.gmatch(letters, '[^\\n]+') do
      if tonumber(string.match(line, '^%d+')) > tonumber(ARGV[i + 1]) then new[#new + 1] = line end
    end
    if #new > 0 then
      found[#found + 1] = {id, new}
    elseif stream.over then
      forget(id, stream)
    else
      redis.call('HDEL', LETTERS, id)
    end
  end
end
return {now, found}
"""
)

#: Ids that were told as expired -> id, stream, document and progress of those that are. Whoever
#: gets them calls again with their ids; if that does not happen, another worker gets them later.
#: And ids of streams whose letters are this worker's now.
EXPIRED = (
    COMMON
    + """
prepare()
for i = 3, #ARGV do
  local stream = get(ARGV[i])
  if stream and not stream.owner then forget(ARGV[i], stream) end
end
-- What nobody reads, since the owner of a stream that has ended is gone.
local mail = {}
for _, id in ipairs(redis.call('HKEYS', LETTERS)) do
  local stream = get(id)
  if stream and stream.ended and not lives(stream.owner) then
    stream.owner = worker
    put(id, stream)
    mail[#mail + 1] = id
  end
end
local expired = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, 100)) do
  local stream = get(id)
  if stream and not stream.ended then
    redis.call('ZADD', DUE, now + lease, id)
    expired[#expired + 1] = {id, cjson.encode(stream), document_of(id),
                             redis.call('HGET', PROGRESS, id)}
  elseif not stream or redis.call('HEXISTS', LETTERS, id) == 0 then
    forget(id, stream or {})
  end
end
-- Workers that died long ago. What nobody has claimed since then waits, and expires.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - 10 * lease, 'LIMIT', 0, 10)) do
  forget_worker(id)
end
return {now, expired, mail}
"""
)

#: Nothing -> nothing: the worker ends.
CLOSE = (
    COMMON
    + """
prepare()
forget_worker(worker)
return {now}
"""
)

#: Nothing -> ids and times of workers, what they say.
WORKERS = (
    COMMON
    + """
return {now, redis.call('ZRANGE', SEEN, 0, -1, 'WITHSCORES'), redis.call('HGETALL', WORKERS)}
"""
)

#: Nothing -> ids and times of workers, streams, documents, progress.
STREAMS = (
    COMMON
    + """
return {now, redis.call('ZRANGE', SEEN, 0, -1, 'WITHSCORES'), redis.call('HGETALL', STREAMS),
        redis.call('HGETALL', DOCUMENTS), redis.call('HGETALL', PROGRESS)}
"""
)

#: A delivery, its time -> whether it is new.
ADD = (
    COMMON
    + f"local DELIVERIES_KEPT = {DELIVERIES_KEPT:.0f}"
    + """
redis.call('ZREMRANGEBYSCORE', DELIVERIES, '-inf', '(' .. (ARGV[4] - DELIVERIES_KEPT))
local added = redis.call('ZADD', DELIVERIES, 'NX', ARGV[4], ARGV[3])
redis.call('EXPIRE', DELIVERIES, DELIVERIES_KEPT)
return {now, added}
"""
)
