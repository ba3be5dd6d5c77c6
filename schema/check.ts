import { readFile } from 'node:fs/promises';
import { diff } from '@graphql-inspector/core';
import { buildSchema } from 'graphql';
import { apiFile, composeSupergraph, supergraphFile, writeIfChanged } from './compose.ts';

/** The API as it was last released: what clients rely on. `npm run schema:accept` moves it on. */
export const publishedFile = new URL('./published.graphql', import.meta.url);

/** Changes that break clients of the published API. */
export async function findBreakingChanges(publishedSdl: string, currentSdl: string): Promise<readonly string[]> {
  const changes = await diff(buildSchema(publishedSdl), buildSchema(currentSdl));
  return changes
    .filter((change) => change.criticality.level === 'BREAKING')
    .map((change) => `${change.path ?? ''} ${change.message}`);
}

async function check(): Promise<string[]> {
  const problems: string[] = [];
  const composed = await composeSupergraph();
  for (const [file, text] of [
    [supergraphFile, composed.supergraphSdl],
    [apiFile, composed.apiSdl],
  ] as const) {
    if ((await readFile(file, 'utf8').catch(() => '')) !== text)
      problems.push(
        `${file.pathname.split('/').slice(-2).join('/')} is not what the SDL composes to: run npm run generate`,
      );
  }
  const published = await readFile(publishedFile, 'utf8').catch(() => null);
  if (published === null) problems.push('schema/published.graphql is missing: run npm run schema:accept');
  else problems.push(...(await findBreakingChanges(published, composed.apiSdl)).map((change) => `breaking: ${change}`));
  return problems;
}

if (import.meta.main) {
  if (process.argv[2] === 'accept') {
    await writeIfChanged(publishedFile, await readFile(apiFile, 'utf8'));
  } else {
    const problems = await check();
    for (const problem of problems) console.error(problem);
    if (problems.length > 0) process.exitCode = 1;
    else console.log('the schema composes and breaks nobody');
  }
}
