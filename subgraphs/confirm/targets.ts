import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import type { Principal } from '#shared/principal.ts';
import { isSubgraphName } from '../names.ts';
import type { TargetType } from './rows.ts';

interface Question {
  readonly module: string;
  readonly text: string;
}

/** How each kind of object is asked for; `other` is what no module of the graph answers for. */
const questions: Partial<Record<TargetType, Question>> = {
  context: { module: 'context', text: 'query Target($id: ID!) { target: context(contextId: $id) { id } }' },
  plan: { module: 'plan', text: 'query Target($id: ID!) { target: plan(planId: $id) { id contextId } }' },
  trace: { module: 'trace', text: 'query Target($id: ID!) { target: trace(traceId: $id) { id contextId } }' },
  extension: { module: 'extension', text: 'query Target($id: ID!) { target: extension(extensionId: $id) { id } }' },
};

export interface Target {
  readonly id: string;
  readonly contextId: string | null;
}

/**
 * What a confirm is about, asked of the graph as the caller; null for what no module answers for.
 * @throws {TARGET_NOT_FOUND} also for kinds whose module is not part of the graph: there is none of them.
 */
export async function requireTarget(
  graph: Graph,
  principal: Principal,
  target: { readonly type: TargetType; readonly id: string },
  path: readonly string[] = ['input', 'targetId'],
): Promise<Target | null> {
  const question = questions[target.type];
  if (!question) return null;
  if (!isSubgraphName(question.module)) throw unknownTarget(target, path, `no subgraph serves the kind ${target.type}`);
  const { data, errors } = await graph.execute<{ target: { id: string; contextId?: string | null } | null }>(
    question.text,
    { id: target.id },
    principal,
  );
  if (data?.target) return { id: data.target.id, contextId: data.target.contextId ?? null };
  const failure = errors.find(({ code }) => code !== 'NOT_FOUND' && code !== 'PERMISSION_DENIED');
  if (failure) throw new PlatformError('UNAVAILABLE', `the ${target.type} could not be asked for: ${failure.message}`);
  throw unknownTarget(target, path);
}

export function unknownTarget(
  { type, id }: { readonly type: TargetType; readonly id: string },
  path: readonly string[],
  message = `no such ${type}`,
): PlatformError {
  return new PlatformError('TARGET_NOT_FOUND', message, {
    path,
    details: { targetType: type.toUpperCase(), targetId: id },
  });
}
