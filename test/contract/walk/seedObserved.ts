type Json = Record<string, unknown>;

interface Seeding {
  readonly find: (document: string, variables: Json) => Promise<Json>;
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
}

const errors = 'userErrors { code message path }';
/** Records are stored shortly after they were taken, ms. */
const storingMs = 5_000;

/** A record of the log, and its id by the name that arguments have. */
export async function seedObserved({ find, run, say }: Seeding): Promise<Readonly<Record<string, string>>> {
  const written = await run(
    'writeLog',
    `mutation ($input: PlatformLogInput!) { writeLog(input: $input) { id ${errors} } }`,
    { input: { level: 'ERROR', module: 'walk', message: say('logged'), metadata: { note: say('noted') } } },
  );
  const logId = (written['id'] as string | null | undefined) ?? crypto.randomUUID();
  for (const until = Date.now() + storingMs; Date.now() < until; ) {
    if ((await find('query ($id: ID!) { log(logId: $id) { id } }', { id: logId }))['log']) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { logId };
}
