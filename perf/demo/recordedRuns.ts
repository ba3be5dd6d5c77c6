import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';

/** One message as it was recorded. */
export interface RecordedMessage {
  readonly participant: string;
  /** Whom it was said to, or what kind of message it was; it stands in a bracket behind the role. */
  readonly topic: string | null;
  readonly text: string;
}

/** A conversation of agents that took place once. */
export interface RecordedRun {
  /** File name without its ending: `algorithm-12`. */
  readonly name: string;
  /** What stands before the number: runs of one source share a context. */
  readonly source: string;
  readonly question: string | null;
  /** In the order in which they first speak. */
  readonly participants: readonly string[];
  readonly messages: readonly RecordedMessage[];
}

const fileSchema = z.object({
  question: z.string().optional(),
  history: z
    .array(z.object({ content: z.string().min(1), role: z.string().min(1), name: z.string().min(1).optional() }))
    .min(1),
});

/** `Orchestrator (-> WebSurfer)` is said by `Orchestrator`, on the topic `-> WebSurfer`. */
export function readSpeaker(role: string, name: string | undefined): Pick<RecordedMessage, 'participant' | 'topic'> {
  const bracketAt = role.indexOf(' (');
  const topic = bracketAt < 0 ? null : role.slice(bracketAt + 2).replace(/\)$/, '');
  return { participant: name ?? (bracketAt < 0 ? role : role.slice(0, bracketAt)), topic: topic === '' ? null : topic };
}

/** @throws {Error} when the text is not a recorded run */
export function parseRun(name: string, text: string): RecordedRun {
  const parsed = fileSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(`${name} is no recorded run: ${z.prettifyError(parsed.error)}`);
  const { history, question } = parsed.data;
  const messages = history.map((entry) => ({ ...readSpeaker(entry.role, entry.name), text: entry.content }));
  return {
    name,
    source: name.replace(/-[^-]*$/, ''),
    question: question ?? null,
    participants: [...new Set(messages.map(({ participant }) => participant))],
    messages,
  };
}

/** A few runs from all over the list: the first files are of one source only. */
export function pickRuns<Run>(runs: readonly Run[], count: number): readonly Run[] {
  if (count >= runs.length) return runs;
  return Array.from({ length: count }, (_, index) => runs[Math.floor((index * runs.length) / count)]!);
}

/** @throws {Error} when the folder holds no runs */
export async function readRuns(folder: string): Promise<readonly RecordedRun[]> {
  const byNumber = new Intl.Collator('en', { numeric: true }).compare;
  const files = existsSync(folder) ? (await readdir(folder)).filter((file) => file.endsWith('.json')) : [];
  if (files.length === 0) throw new Error(`${folder} holds no recorded runs (*.json)`);
  return await Promise.all(
    files
      .sort(byNumber)
      .map(async (file) => parseRun(basename(file, '.json'), await readFile(join(folder, file), 'utf8'))),
  );
}
