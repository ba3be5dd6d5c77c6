import { hookPoints } from './hookPoints.ts';
import type { ExtensionCapabilityRow, ExtensionHookRow, ExtensionRow } from './rows.ts';

export interface IntegrationValue {
  readonly targetModule: string;
  readonly type: 'CAPABILITY_PROVIDER' | 'EVENT_SUBSCRIBER' | 'WORKFLOW_ENHANCER';
  readonly isActive: boolean;
  readonly providedCapabilities: string[];
  readonly points: string[];
  readonly subscribedEvents: string[];
}

/** What an extension is to other modules: what steps of workflows may call, and at which points of whose work it is heard. */
export function integrationsOf(
  { runtimeState }: Pick<ExtensionRow, 'runtimeState'>,
  {
    capabilities,
    hooks,
  }: {
    readonly capabilities: readonly Pick<ExtensionCapabilityRow, 'name'>[];
    readonly hooks: readonly Pick<ExtensionHookRow, 'point' | 'phase'>[];
  },
): IntegrationValue[] {
  const isActive = runtimeState === 'active' || runtimeState === 'reloading';
  const nothing = { providedCapabilities: [], points: [], subscribedEvents: [] };
  const provided = capabilities.map(({ name }) => name).sort();
  const heard = [...Map.groupBy(hooks, ({ point, phase }) => `${moduleOf(point)} ${phase}`).values()].map(
    (group): IntegrationValue => {
      const points = group.map(({ point }) => point).sort();
      const isAfter = group[0]!.phase === 'after';
      return {
        ...{ ...nothing, targetModule: moduleOf(points[0]!), isActive, points },
        type: isAfter ? 'EVENT_SUBSCRIBER' : 'WORKFLOW_ENHANCER',
        subscribedEvents: isAfter
          ? hookPoints.filter(({ point }) => points.includes(point)).flatMap(({ events }) => [...events])
          : [],
      };
    },
  );
  return [
    ...(provided.length === 0
      ? []
      : [
          {
            ...{ ...nothing, targetModule: 'core', isActive, providedCapabilities: provided },
            type: 'CAPABILITY_PROVIDER' as const,
          },
        ]),
    ...heard.sort((one, other) => one.targetModule.localeCompare(other.targetModule)),
  ];
}

/** Points are named after the module whose work they are in. */
const moduleOf = (point: string) => point.slice(0, point.indexOf('.'));
