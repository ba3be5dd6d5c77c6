import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { AnalysableMessage } from '../../../subgraphs/dialog/analysis/index.ts';

const recordedFolder = join(process.cwd(), '..', 'shared', 'data', 'dialogs');
const sampleFolder = join(process.cwd(), 'test', 'dialog', 'sample');
const recordedDialog = z.object({
  history: z.array(z.object({ content: z.string(), role: z.string(), name: z.string().optional() })),
});

export interface NamedDialog {
  readonly file: string;
  readonly messages: readonly AnalysableMessage[];
}

/** The recorded agent runs, and our own sample beside them; says so on stderr where the recorded ones are absent. */
export function loadDialogs(): NamedDialog[] {
  const dialogs = readFolder(sampleFolder);
  if (existsSync(recordedFolder)) dialogs.push(...readFolder(recordedFolder));
  else
    process.stderr.write(
      '\nRECORDED DIALOGS ARE ABSENT (../shared/data/dialogs): testing on the bundled sample only.\n\n',
    );
  return dialogs;
}

function readFolder(folder: string): NamedDialog[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  return files.sort().map((file) => ({ file, messages: readDialog(join(folder, file)) }));
}

function readDialog(path: string): AnalysableMessage[] {
  const { history } = recordedDialog.parse(JSON.parse(readFileSync(path, 'utf8')));
  return history.map(({ content, role, name }, index) =>
    message(content, {
      messageId: `m${index + 1}`,
      sequence: index + 1,
      senderId: name ?? role.split(' (')[0] ?? role,
      senderType: role === 'human' ? 'HUMAN' : 'AGENT',
      // Monday, 6 January 2025, a message a minute.
      sentAt: new Date(Date.UTC(2025, 0, 6, 9, index)).toISOString(),
    }),
  );
}

export function message(text: string, overrides: Partial<AnalysableMessage> = {}): AnalysableMessage {
  return {
    messageId: 'm1',
    sequence: 1,
    senderId: 'ana',
    senderType: 'HUMAN',
    type: 'TEXT',
    text,
    sentAt: '2025-01-06T09:00:00.000Z',
    ...overrides,
  };
}

/** A dialog of `[sender, text]` lines, a minute apart. */
export function dialogOf(lines: readonly (readonly [sender: string, text: string])[]): AnalysableMessage[] {
  return lines.map(([senderId, text], index) =>
    message(text, {
      messageId: `m${index + 1}`,
      sequence: index + 1,
      senderId,
      sentAt: new Date(Date.UTC(2025, 0, 6, 9, index)).toISOString(),
    }),
  );
}
