import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { RecordedRow } from './checker.ts';
import type { Caller, GraphClient } from './client.ts';
import { createContext, createDialog, dialogCursor, history, joinDialog } from './documents.ts';
import { digestOf, messageSchema } from './message.ts';
import type { DemoPlatform } from './platform.ts';
import type { RecordedRun } from './recordedRuns.ts';

/** A recorded run and the dialog in which it is said again. */
export interface StagedRun {
  readonly run: RecordedRun;
  readonly dialogId: string;
  /** Cursor before the first message. */
  readonly cursor: string;
  /** Subject and credentials by participant. */
  readonly agents: ReadonlyMap<string, Agent>;
  /** Takes part with the right to read only. */
  readonly observer: Caller;
}

export interface Agent {
  readonly subject: string;
  readonly caller: Caller;
}

export interface Stage {
  readonly contexts: number;
  readonly runs: readonly StagedRun[];
}

export interface StageOptions {
  readonly client: GraphClient;
  readonly platform: DemoPlatform;
  readonly runs: readonly RecordedRun[];
}

const createdContext = z.object({ createContext: z.object({ context: z.object({ id: z.string() }) }) });
const createdDialog = z.object({ createDialog: z.object({ dialog: z.object({ id: z.string() }) }) });
const joined = z.object({ joinDialog: z.object({ participant: z.object({ status: z.literal('ACTIVE') }) }) });
const dialogStart = z.object({ dialog: z.object({ cursor: z.string(), lastSequence: z.literal(0) }) });
const historyPage = z.object({
  dialogMessages: z.object({
    nodes: z.array(messageSchema),
    pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
  }),
});

/** Subjects of tokens know letters, digits and a few signs. */
function subjectOf(run: string, participant: string): string {
  return `${run}.${participant}`.replace(/[^A-Za-z0-9._:@-]/g, '_').slice(0, 128);
}

async function stageRun(
  { client, platform }: StageOptions,
  { run, contextId, host }: { readonly run: RecordedRun; readonly contextId: string; readonly host: Caller },
): Promise<StagedRun> {
  const agents = new Map<string, Agent>();
  for (const name of run.participants) {
    const subject = subjectOf(run.name, name);
    agents.set(name, { subject, caller: await platform.signIn(subject, 'agent') });
  }
  const observerSubject = subjectOf(run.name, 'observer');
  const observer = await platform.signIn(observerSubject, 'member', 'human');
  const input = {
    contextId,
    name: run.name,
    type: 'PROBLEM_SOLVING',
    description: run.question,
    configuration: { maxParticipants: agents.size + 2, visibility: 'PARTICIPANTS' },
    participants: [
      ...[...agents].map(([displayName, { subject }]) => ({
        subject,
        displayName: displayName.slice(0, 255),
        type: displayName === 'human' ? 'HUMAN' : 'AI_AGENT',
        invited: true,
      })),
      { subject: observerSubject, displayName: 'observer', type: 'HUMAN', role: 'OBSERVER' },
    ],
    idempotencyKey: randomUUID(),
  };
  const { dialog } = createdDialog.parse(await client.call(createDialog, { input }, host)).createDialog;
  for (const { caller } of agents.values())
    joined.parse(await client.call(joinDialog, { dialogId: dialog.id }, caller));
  const { cursor } = dialogStart.parse(await client.call(dialogCursor, { id: dialog.id }, observer)).dialog;
  return { run, dialogId: dialog.id, cursor, agents, observer };
}

/** Opens a context for each source of runs and a dialog for each run; everyone who speaks in it accepts and joins. */
export async function setStage(options: StageOptions): Promise<Stage> {
  const { client, platform, runs } = options;
  const host = await platform.signIn('demo.host', 'admin', 'human');
  const contextIds = new Map<string, string>();
  for (const source of new Set(runs.map((run) => run.source))) {
    const root = { domain: 'demo', environment: 'replay', entryPoint: source };
    const input = { title: `Recorded runs: ${source}`, root, idempotencyKey: randomUUID() };
    const answer = createdContext.parse(await client.call(createContext, { input }, host));
    contextIds.set(source, answer.createContext.context.id);
  }
  const staged = runs.map((run) => stageRun(options, { run, contextId: contextIds.get(run.source)!, host }));
  return { contexts: contextIds.size, runs: await Promise.all(staged) };
}

/** The dialog as the platform has kept it. */
export async function readHistory(client: GraphClient, { dialogId, observer }: StagedRun): Promise<RecordedRow[]> {
  const rows: RecordedRow[] = [];
  let after: string | null = null;
  for (;;) {
    const answer: unknown = await client.call(history, { dialogId, after }, observer);
    const { nodes, pageInfo } = historyPage.parse(answer).dialogMessages;
    for (const { clientMessageId: id, sequence, senderSubject, topic, content } of nodes)
      rows.push({ stream: dialogId, id, sequence, digest: digestOf(senderSubject, topic, content.text) });
    if (!pageInfo.hasNextPage) return rows;
    after = pageInfo.endCursor;
  }
}
