import { createHash, generateKeyPairSync } from 'node:crypto';

type Json = Record<string, unknown>;

interface Seeding {
  readonly run: (field: string, document: string, variables: Json) => Promise<Json>;
  readonly say: (name: string) => string;
  readonly contextId: string;
  readonly serial: number;
}

const newKey = () => generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();

/** A key that nobody has made known yet. */
export const walkKey = newKey();

const bundle = 'export const Main = { work: () => ({ done: true }), hear: () => null };';

/** A package that does next to nothing. */
export const releaseInput = {
  manifest: {
    entry_point: 'main.js',
    main_class: 'Main',
    capabilities: [{ name: 'work', interfaces: [{ interface_name: 'work', methods: [{ method_name: 'work' }] }] }],
    security_requirements: { permissions: ['state:read'] },
    hooks: [{ point: 'dialog.message_sent', phase: 'before', method: 'hear' }],
  },
  bundle,
  checksum: createHash('sha256').update(bundle).digest('hex'),
};

/** A running extension that was reloaded once, a release it could be reloaded to, a call of it, and a publisher's key. */
export async function seedExtension({
  run,
  say,
  contextId,
  serial,
}: Seeding): Promise<Readonly<Record<string, string>>> {
  const errors = 'userErrors { code message path }';
  const idOf = (payload: Json, name: string) =>
    (payload[name] as { id: string } | null | undefined)?.id ?? crypto.randomUUID();
  const key = await run(
    'registerPublisherKey',
    `mutation ($input: RegisterPublisherKeyInput!) { registerPublisherKey(input: $input) { key { id } ${errors} } }`,
    { input: { publisherId: say('publisher'), name: say('key'), publicKey: newKey(), trustLevel: 'LOW' } },
  );
  const registered = await run(
    'registerExtension',
    `mutation ($input: RegisterExtensionInput!) { registerExtension(input: $input) { extension { id currentRelease { id } } ${errors} } }`,
    {
      input: {
        contextId,
        name: `walk-${serial}`,
        displayName: say('extension'),
        description: say('extension description'),
        category: say('extension category'),
        keywords: [say('keyword').slice(0, 50)],
        extensionType: 'CAPABILITY',
        version: '1.0.0',
        config: { note: say('setting') },
        release: releaseInput,
      },
    },
  );
  const extension = registered['extension'] as { id: string; currentRelease: { id: string } } | null | undefined;
  const extensionId = extension?.id ?? crypto.randomUUID();
  const publish = async (version: string) =>
    idOf(
      await run(
        'publishVersion',
        `mutation ($input: PublishVersionInput!) { publishVersion(input: $input) { release { id } ${errors} } }`,
        { input: { extensionId, version, release: releaseInput } },
      ),
      'release',
    );
  await run(
    'installExtension',
    `mutation ($input: InstallExtensionInput!) { installExtension(input: $input) { ${errors} } }`,
    { input: { extensionId, releaseId: extension?.currentRelease.id } },
  );
  const loaded = await run(
    'loadExtension',
    `mutation ($input: LoadExtensionInput!) { loadExtension(input: $input) { sandbox { id } registeredCapabilities { id } ${errors} } }`,
    { input: { extensionId } },
  );
  const capabilityId =
    (loaded['registeredCapabilities'] as { id: string }[] | null | undefined)?.[0]?.id ?? crypto.randomUUID();
  await run(
    'hotReloadExtension',
    `mutation ($input: HotReloadExtensionInput!) { hotReloadExtension(input: $input) { ${errors} } }`,
    { input: { extensionId, releaseId: await publish('1.1.0') } },
  );
  const executed = await run(
    'executeExtension',
    `mutation ($input: ExecuteExtensionInput!) { executeExtension(input: $input) { execution { id } ${errors} } }`,
    { input: { extensionId, capabilityId, method: 'work' } },
  );
  return {
    extensionId,
    capabilityId,
    sandboxId: idOf(loaded, 'sandbox'),
    extensionExecutionId: idOf(executed, 'execution'),
    nextReleaseId: await publish('1.2.0'),
    keyId: idOf(key, 'key'),
  };
}
