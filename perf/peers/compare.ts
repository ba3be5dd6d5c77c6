import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnsweredQuestion, askEverything, type Equality, expectedAnswers } from './answers.ts';
import { type AuthenticationSetup, mintTokens, tokenCount } from './authentication.ts';
import { composeForeignSupergraph } from './graph/supergraph.ts';
import { type MeasureOptions, measurePeers, type ReadyPeer } from './measure.ts';
import { type PeerProcess, startPeerProcess } from './peerProcess.ts';
import type { PeerSetup } from './peerServer.ts';
import type { Peer } from './peers.ts';
import type { PeerTable } from './report.ts';

export interface CompareOptions extends Omit<MeasureOptions, 'peers' | 'subgraphs' | 'tokensFile'> {
  readonly peers: readonly Peer[];
  readonly authentication: AuthenticationSetup['kind'];
}

/**
 * Starts the peers, holds their answers against the reference and puts the load on each.
 * @throws {Error} when a peer does not start, refuses or answers anything else.
 */
export async function comparePeers(options: CompareOptions): Promise<PeerTable> {
  const folder = mkdtempSync(join(tmpdir(), 'perf-peers-'));
  const processes: PeerProcess[] = [];
  const startOne = async (module: URL, setup: PeerSetup): Promise<PeerProcess> => {
    const started = await startPeerProcess(module, setup);
    processes.push(started);
    return started;
  };
  try {
    const minted = options.authentication === 'verified' ? await mintTokens(folder, tokenCount) : null;
    const authentication: AuthenticationSetup = minted
      ? { kind: 'verified', publicKeyFile: minted.publicKeyFile }
      : { kind: 'opaque' };
    const expected = expectedAnswers();
    const base = { authentication, answers: expected.map(({ body, answer }) => [body, answer] as const) };
    const subgraphs = await startOne(new URL('./graph/subgraphServer.ts', import.meta.url), {
      ...base,
      supergraphSdl: '',
      subgraphsOrigin: '',
    });
    const setup = {
      ...base,
      supergraphSdl: composeForeignSupergraph(subgraphs.origin),
      subgraphsOrigin: subgraphs.origin,
    };
    const tokens = minted ? (JSON.parse(readFileSync(minted.tokensFile, 'utf8')) as string[]) : null;
    const authorizationOf = (index: number): string => `Bearer ${tokens ? tokens[index]! : `first-${index}`}`;
    const ready: ReadyPeer[] = [];
    for (const { name, module, variant } of options.peers) {
      try {
        const process = await startOne(module, { ...setup, ...(variant === undefined ? {} : { variant }) });
        const answered = await askEverything(`${process.origin}/graphql`, { expected, authorizationOf });
        ready.push({ name, process, answered });
      } catch (error) {
        throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    const windows = await measurePeers({ ...options, peers: ready, subgraphs, tokensFile: minted?.tokensFile ?? null });
    return {
      authentication: options.authentication,
      windows,
      equality: Object.fromEntries(ready.map(({ name, answered }) => [name, equalityOf(answered)])),
    };
  } finally {
    await Promise.all(processes.map((started) => started.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** By operation, the lesser of its answers' equalities. */
function equalityOf(answered: readonly AnsweredQuestion[]): Readonly<Record<string, Equality>> {
  const found: Record<string, Equality> = {};
  for (const { operation, equality } of answered) if (found[operation] !== 'order') found[operation] = equality;
  return found;
}
