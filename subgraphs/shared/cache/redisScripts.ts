import { createHash } from 'node:crypto';

export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

const script = (text: string): RedisScript => ({ text, sha: createHash('sha1').update(text).digest('hex') });

/**
 * Reads entries and decides in the same step whether they still hold.
 * KEYS: sequence, entries. ARGV: tag prefix.
 * Reply: [current sequence, then per entry nil or [stamp, tags, kind, value, remaining ms]].
 *
 * An entry holds while every one of its tags has a version, and none is later than the entry's stamp. A missing
 * version invalidates: so a tag that Redis evicted or expired costs a miss, never a stale answer.
 */
export const readScript = script(`
local stamp = redis.call('GET', KEYS[1])
if not stamp then
  local time = redis.call('TIME')
  stamp = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('SET', KEYS[1], stamp)
end
local reply = { stamp }
for i = 2, #KEYS do
  local head = redis.call('HMGET', KEYS[i], 's', 't', 'k')
  local found = false
  if head[1] then
    local own = tonumber(head[1])
    local names = {}
    for tag in string.gmatch(head[2], '[^\\n]+') do names[#names + 1] = ARGV[1] .. tag end
    local versions = redis.call('MGET', unpack(names))
    local fresh = true
    for j = 1, #names do
      if not versions[j] or tonumber(versions[j]) > own then
        fresh = false
        break
      end
    end
    if fresh then
      found = { head[1], head[2], head[3], redis.call('HGET', KEYS[i], 'v'), redis.call('PTTL', KEYS[i]) }
    else
      redis.call('UNLINK', KEYS[i])
    end
  end
  reply[i] = found
end
return reply
`);

/**
 * Stores entries whose tags nobody invalidated since their stamp was taken.
 * KEYS: entries. ARGV: tag prefix, tag TTL ms, then per entry: stamp, TTL ms, kind, tags, value.
 * Reply: per entry 1 stored, 0 refused.
 */
export const storeScript = script(`
local reply = {}
for i = 1, #KEYS do
  local at = 2 + (i - 1) * 5
  local stamp = tonumber(ARGV[at + 1])
  local fresh = true
  local absent = {}
  for tag in string.gmatch(ARGV[at + 4], '[^\\n]+') do
    local name = ARGV[1] .. tag
    local version = redis.call('GET', name)
    if not version then
      absent[#absent + 1] = name
    elseif tonumber(version) > stamp then
      fresh = false
      break
    end
  end
  if fresh then
    for _, name in ipairs(absent) do redis.call('SET', name, ARGV[at + 1], 'PX', ARGV[2]) end
    redis.call('HSET', KEYS[i], 's', ARGV[at + 1], 't', ARGV[at + 4], 'k', ARGV[at + 3], 'v', ARGV[at + 5])
    redis.call('PEXPIRE', KEYS[i], ARGV[at + 2])
  end
  reply[i] = fresh and 1 or 0
end
return reply
`);

/**
 * Gives tags a new version. The sequence never falls behind the clock, so that one lost with its server continues
 * above every stamp handed out before.
 * KEYS: sequence. ARGV: tag prefix, tag TTL ms, marker prefix, marker TTL ms, then per event: id or '', count, tags.
 * An event with an id is applied once by whoever comes first. Reply: the current sequence.
 */
export const invalidateScript = script(`
local time = redis.call('TIME')
local clock = time[1] * 1000000 + time[2]
local current = tonumber(redis.call('GET', KEYS[1]) or '0')
local next = string.format('%.0f', math.max(current + 1, clock))
local applied = false
local at = 5
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  if ARGV[at] == '' or redis.call('SET', ARGV[3] .. ARGV[at], '1', 'NX', 'PX', ARGV[4]) then
    applied = true
    for i = at + 2, at + 1 + count do redis.call('SET', ARGV[1] .. ARGV[i], next, 'PX', ARGV[2]) end
  end
  at = at + 2 + count
end
if applied or current == 0 then
  redis.call('SET', KEYS[1], next)
  return next
end
return string.format('%.0f', current)
`);
