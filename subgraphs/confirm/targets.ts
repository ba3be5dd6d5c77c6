import { PlatformError } from '#shared/errors.ts';
import type { Graph } from '#shared/graph.ts';
import type { Principal } from '#shared/principal.ts';
import type { TargetType } from './rows.ts';

/** How each kind of object is asked for; `other` is what no module of the graph answers for. */
const questions: Partial<Record<TargetType, string>> = {
  context: 'query Target($id: ID!) { target: context(contextId: $id) { id } }',
  plan: 'query Target($id: ID!) { target: plan(planId: $id) { id contextId createdBy summary { cost } } }',
  trace: 'query Target($id: ID!) { target: trace(traceId: $id) { id contextId } }',
  extension: 'query Target($id: ID!) { target: extension(id: $id) { id contextId } }',
};

export interface Target {
  readonly id: string;
  readonly contextId: string | null;
  /** Who wrote it, of a plan; null of all others. */
  readonly author: string | null;
  /** What it costs by its own figures, of a plan that has some. */
  readonly cost: number | null;
}

/**
 * What a confirm is about, asked of the graph as the caller; null for what no module answers for.
 * @throws {TARGET_NOT_FOUND}
 */
export async function requireTarget(
  graph: Graph,
  principal: Principal,
  target: { readonly type: TargetType; readonly id: string },
  path: readonly string[] = ['input', 'targetId'],
): Promise<Target | null> {
  const question = questions[target.type];
  if (!question) return null;
  const { data, errors } = await graph.execute<{
    target: {
      id: string;
      contextId?: string | null;
      createdBy?: string | null;
      summary?: { cost: number } | null;
    } | null;
  }>(question, { id: target.id }, principal);
  if (data?.target) {
    const { id, contextId = null, createdBy = null, summary } = data.target;
    return { id, contextId, author: createdBy, cost: summary?.cost || null };
  }
  const failure = errors.find(({ code }) => code !== 'NOT_FOUND' && code !== 'PERMISSION_DENIED');
  if (failure) throw new PlatformError('UNAVAILABLE', `the ${target.type} could not be asked for: ${failure.message}`);
  throw unknownTarget(target, path);
}

export function unknownTarget(
  { type, id }: { readonly type: TargetType; readonly id: string },
  path: readonly string[],
): PlatformError {
  return new PlatformError('TARGET_NOT_FOUND', `no such ${type}`, {
    path,
    details: { targetType: type.toUpperCase(), targetId: id },
  });
}
