import { writeFile } from 'node:fs/promises';
import type { ErrorEntries } from '#shared/errorTable/entry.ts';
import { groupErrors } from '#shared/errorTable/groups.ts';
import { requestErrors } from '#shared/errorTable/requests.ts';
import { workErrors } from '#shared/errorTable/work.ts';

/** The table by what its codes are of. */
export const errorParts: readonly { readonly title: string; readonly entries: ErrorEntries }[] = [
  { title: 'Any request', entries: requestErrors },
  { title: 'Governed work: contexts, dialogs, confirms, roles, plans', entries: workErrors },
  { title: 'Groups of agents: networks, extensions, workflows, collaborations', entries: groupErrors },
];

/** Where the table of errors stands for readers. */
export const errorReferenceFile = new URL('../docs/errors.md', import.meta.url);

function rowsOf(entries: ErrorEntries): string {
  return Object.entries(entries)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(
      ([code, { status, retryable, description }]) =>
        `| ${code} | ${status} | ${retryable ? 'yes' : 'no'} | ${description} |`,
    )
    .join('\n');
}

/** The table of errors as Markdown, by what the codes are of. */
export function renderErrorReference(): string {
  const parts = errorParts.map(
    ({ title, entries }) =>
      `## ${title}\n\n| code | status | retry | meaning |\n| --- | --- | --- | --- |\n${rowsOf(entries)}\n`,
  );
  return `# Error codes

Written by \`npm run generate\` from \`subgraphs/shared/errorTable\`. A code stands in \`extensions.code\` of a GraphQL error, or in
\`userErrors\` of a mutation's payload; \`retry\` says whether the same call may succeed later unchanged, \`status\` is what a plain
HTTP answer carries.

${parts.join('\n')}`;
}

if (import.meta.main) await writeFile(errorReferenceFile, renderErrorReference());
