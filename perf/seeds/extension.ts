import { generateKeyPairSync, sign } from 'node:crypto';
import type { RecordShape } from '#shared/record.ts';
import type { Sql } from '#shared/sql.ts';
import { readManifest } from '../../subgraphs/extension/manifest/manifest.ts';
import { digestOf, fingerprintOf, readPublicKey } from '../../subgraphs/extension/manifest/signature.ts';
import { capabilitiesOf } from '../../subgraphs/extension/registry/capabilities.ts';
import { defaultSettings } from '../../subgraphs/extension/registry/registration.ts';
import type { ExtensionReleaseRow, ExtensionRow } from '../../subgraphs/extension/rows.ts';
import { capabilityRecord, extensionRecord, releaseRecord, searchOf } from '../../subgraphs/extension/store.ts';
import { createRandom } from '../load/random.ts';
import { contextId, perfTenant } from './context.ts';
import { type CopyValue, copyRows } from './copyRows.ts';
import { seedId } from './seedId.ts';
import { domains, sentence } from './words.ts';

export interface ExtensionSeed {
  /** Contexts that are there already; extensions lie in them in turn. */
  readonly contexts: number;
  readonly extensions: number;
  /** The first ones run, with two releases each. */
  readonly running: number;
  /** Those after them are installed and wait to be loaded, with packages of 64 KiB. */
  readonly installed: number;
}

export const capabilityNames: readonly string[] = domains;
export const extensionId = (index: number): string => seedId('extension', index);
export const capabilityId = (index: number): string => seedId('extensionCapability', index);
export const releaseId = (index: number, which = 0): string => seedId('extensionRelease', index, which);

const packageBytes = 65_536;
const chunkRows = 5_000;
const at = '2026-01-01T00:00:00.000Z';

/** Works for as long as it is asked to, then says which release it is. */
const bundleOf = (version: string, bytes = 0) => {
  const code = `export const Main = { work({ ms }) { const until = Date.now() + ms; while (Date.now() < until); return '${version}'; } };\n`;
  return code + `// ${'x'.repeat(70)}\n`.repeat(Math.ceil(Math.max(0, bytes - code.length) / 74));
};

const manifestOf = (capability: string) =>
  readManifest({
    entry_point: 'main.js',
    main_class: 'Main',
    capabilities: [
      {
        name: capability,
        interfaces: [
          {
            interface_name: 'work',
            methods: [
              {
                method_name: 'work',
                input_schema: { type: 'object', required: ['ms'], properties: { ms: { type: 'number' } } },
                output_schema: { type: 'string' },
              },
            ],
          },
        ],
      },
    ],
    security_requirements: { permissions: ['state:read'] },
    compatibility: { mplp_version: '^1.0.0' },
  });

/** Values as COPY takes them: everything that is no scalar is JSON, but for lists of texts. */
function valuesOf<Row>(record: RecordShape<Row>, row: Row): readonly CopyValue[] {
  const { ord: _ord, ...values } = record.toRecord(row, 0);
  return Object.entries(values).map(([column, value]) =>
    typeof value === 'object' && value !== null && column !== 'keywords' ? JSON.stringify(value) : (value as CopyValue),
  );
}

/** Extensions of one tenant as they stand when their events have left the log. */
export async function seedExtensions(sql: Sql, seed: ExtensionSeed, log: (text: string) => void): Promise<void> {
  const random = createRandom(4_706);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const keyId = seedId('extensionRelease', -1);
  await sql.unsafe(
    `INSERT INTO extension.publisher_key (tenant_id, id, publisher_id, name, public_key, fingerprint, trust_level, created_by) VALUES ($1, $2, 'acme', 'Acme', $3, $4, 4, 'seed')`,
    [perfTenant, keyId, pem, fingerprintOf(readPublicKey(pem)!)],
  );
  const bundles = new Map<string, { readonly bundle: string; readonly checksum: string; readonly signature: string }>();
  const packaged = (bundle: string) => {
    const known = bundles.get(bundle);
    if (known) return known;
    const digest = digestOf(bundle);
    const made = {
      bundle,
      checksum: digest.toString('hex'),
      signature: sign(null, digest, privateKey).toString('base64'),
    };
    bundles.set(bundle, made);
    return made;
  };
  const manifests = new Map(capabilityNames.map((name) => [name, manifestOf(name)]));
  for (let from = 0; from < seed.extensions; from += chunkRows) {
    const extensions: ExtensionRow[] = [];
    const releases: { readonly row: ExtensionReleaseRow; readonly bundle: string }[] = [];
    const capabilities: Parameters<typeof capabilityRecord.toRecord>[0][] = [];
    for (let index = from; index < Math.min(from + chunkRows, seed.extensions); index += 1) {
      const runs = index < seed.running;
      const waits = !runs && index < seed.running + seed.installed;
      const domain = capabilityNames[index % capabilityNames.length]!;
      const manifest = manifests.get(domain)!;
      const trustLevel = runs || waits ? 4 : index % 5;
      const extension: ExtensionRow = {
        tenantId: perfTenant,
        id: extensionId(index),
        contextId: contextId(index % seed.contexts),
        name: `extension-${index}`,
        extensionType: index % 3 === 0 ? 'capability' : 'integration',
        version: '1.0.0',
        status: runs ? 'active' : 'registered',
        runtimeState: runs ? 'active' : waits ? 'installed' : 'registered',
        displayName: sentence(random, domain, 3),
        description: sentence(random, domain, 20),
        category: domain,
        keywords: [domain, sentence(random, domain, 1)],
        license: 'Apache-2.0',
        homepage: null,
        repository: null,
        publisher: { publisherId: 'acme', name: 'Acme' },
        trustLevel,
        config: null,
        settings: defaultSettings,
        grants: [],
        integrationTargets: null,
        currentReleaseId: releaseId(index),
        previousReleaseId: null,
        reloadedAt: null,
        deprecatedAt: null,
        installedAt: runs || waits ? at : null,
        activatedAt: runs ? at : null,
        deactivatedAt: null,
        activationCount: runs ? 1 : 0,
        errorCount: 0,
        lastError: null,
        quarantine: null,
        governance: null,
        protocol: null,
        revision: 1,
        createdAt: at,
        createdBy: 'seed',
        updatedAt: at,
        updatedBy: 'seed',
      };
      extensions.push(extension);
      const release = (which: number, version: string) => {
        const { bundle, checksum, signature } = packaged(bundleOf(version, waits ? packageBytes : 0));
        releases.push({
          bundle,
          row: {
            tenantId: perfTenant,
            id: releaseId(index, which),
            extensionId: extension.id,
            contextId: extension.contextId,
            version,
            manifest,
            checksum,
            sizeBytes: Buffer.byteLength(bundle),
            package: null,
            signature,
            keyId,
            trustLevel: 4,
            validation: {
              manifestValid: true,
              dependenciesResolved: true,
              securityApproved: true,
              compatibilityVerified: true,
              packageIntegrityVerified: true,
            },
            qualityScore: 0.7,
            approvedBy: null,
            createdAt: at,
            createdBy: 'seed',
          },
        });
      };
      release(0, '1.0.0');
      if (runs) release(1, '1.1.0');
      const [capability] = capabilitiesOf(extension, manifest, runs ? 'active' : 'available');
      capabilities.push({ ...capability!, id: capabilityId(index) });
    }
    const names = (record: { readonly names: string }) => record.names.split(', ');
    await copyRows(
      sql,
      'extension.extension',
      names(extensionRecord),
      extensions.map((row) => valuesOf(extensionRecord, row)),
    );
    await copyRows(
      sql,
      'extension.release',
      [...names(releaseRecord), 'bundle'],
      releases.map(({ row, bundle }) => [...valuesOf(releaseRecord, row), bundle]),
    );
    await copyRows(
      sql,
      'extension.capability',
      names(capabilityRecord),
      capabilities.map((row) => valuesOf(capabilityRecord, row)),
    );
    log(`${Math.min(from + chunkRows, seed.extensions)} extensions stored`);
  }
  await sql.unsafe(`UPDATE extension.extension e SET search = ${searchOf('e')}`);
  await sql.unsafe(
    `INSERT INTO extension.stream_head (tenant_id, stream_id, last_sequence) SELECT tenant_id, id, 3 FROM extension.extension`,
  );
  await sql.unsafe(
    `INSERT INTO extension.replica (tenant_id, type, id, status, detail, sequence)
     SELECT tenant_id, 'Context', id, 'active', '{"ownerId": null, "visibility": "TENANT"}', 1 FROM context.context`,
  );
  await sql.unsafe('VACUUM ANALYZE extension.extension');
}
