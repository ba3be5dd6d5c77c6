import { hookPoints } from './hookPoints.ts';
import type { ExtensionCapabilityRow, ExtensionHookRow, ExtensionRow, Json } from './rows.ts';

export interface IntegrationValue {
  readonly targetModule: string;
  readonly type:
    | 'CAPABILITY_PROVIDER'
    | 'EVENT_SUBSCRIBER'
    | 'DATA_PROCESSOR'
    | 'WORKFLOW_ENHANCER'
    | 'MONITORING_INTEGRATION';
  readonly isActive: boolean;
  readonly providedCapabilities: string[];
  readonly points: string[];
  readonly subscribedEvents: string[];
  /** What its hooks there are told beside. */
  readonly configuration: Json | null;
}

/** What an extension is to other modules: what steps of workflows may call, and at which points of whose work it is heard. */
export function integrationsOf(
  {
    runtimeState,
    extensionType,
    integrationTargets,
  }: Pick<ExtensionRow, 'runtimeState' | 'extensionType' | 'integrationTargets'>,
  {
    capabilities,
    hooks,
  }: {
    readonly capabilities: readonly Pick<ExtensionCapabilityRow, 'name'>[];
    readonly hooks: readonly Pick<ExtensionHookRow, 'point' | 'phase'>[];
  },
): IntegrationValue[] {
  const isActive = runtimeState === 'active' || runtimeState === 'reloading';
  const nothing = { providedCapabilities: [], points: [], subscribedEvents: [], configuration: null };
  const provided = capabilities.map(({ name }) => name).sort();
  const heard = [...Map.groupBy(hooks, ({ point, phase }) => `${moduleOf(point)} ${phase}`).values()].map(
    (group): IntegrationValue => {
      const points = group.map(({ point }) => point).sort();
      const isAfter = group[0]!.phase === 'after';
      return {
        ...{ ...nothing, targetModule: moduleOf(points[0]!), isActive, points },
        type: isAfter
          ? points.every((point) => monitoringPoints.includes(point))
            ? 'MONITORING_INTEGRATION'
            : 'EVENT_SUBSCRIBER'
          : extensionType === 'transformation'
            ? 'DATA_PROCESSOR'
            : 'WORKFLOW_ENHANCER',
        configuration: configurationAt(integrationTargets, points[0]!),
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

/** Points at which figures are heard, nothing else. */
const monitoringPoints: readonly string[] = ['trace.metrics_collected'];

/** What the hooks of an extension at a point are told beside what happens there. */
export function configurationAt(targets: ExtensionRow['integrationTargets'], point: string): Json | null {
  return targets?.find(({ module }) => module === moduleOf(point))?.configuration ?? null;
}

/** Points are named after the module whose work they are in. */
export const moduleOf = (point: string) => point.slice(0, point.indexOf('.'));
