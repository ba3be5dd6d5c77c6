import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Five steps are a third of the share of a thread that has none. */
const niceness = 5;

/**
 * Lowers the priority of the threads on which V8 marks garbage and compiles, where the system has one for each thread
 * (Linux). V8 has four of them however few cores there are: on two cores they leave the event loop two fifths of its
 * time while they mark, and every answer waits for 50 to 130 ms. Where cores are idle it changes nothing.
 * @returns how many threads it found
 */
export function yieldToEventLoop(): number {
  if (process.platform !== 'linux') return 0;
  const tasks = '/proc/self/task';
  let found = 0;
  for (const id of readdirSync(tasks)) {
    try {
      if (readFileSync(`${tasks}/${id}/comm`, 'utf8').trim() !== 'V8Worker') continue;
      setPriority(Number(id), niceness);
      found += 1;
    } catch {
      // The thread has ended, or a sandbox forbids it: then everything stays as it was.
    }
  }
  return found;
}
