import { z } from 'zod';
import { approverFields, approverRules, toApprovers } from '#shared/approvers.ts';
import { id, idempotencyKey, json, text } from '#shared/validation.ts';
import { balancings } from './balancing.ts';
import { discoveries, failoverModes, routingAlgorithms } from './rows.ts';

const name = text({ min: 1, max: 255 });
const word = z.string();
const share = z.number().min(0).max(1);
const ms = z.number().min(0).max(86_400_000);
const capacity = z.number().min(0).max(1e9);
const cost = z.number().min(0).max(1e9);
const names = z.array(name).max(100);
const port = z.number().int().min(1).max(65_535);

export const maxNodes = 10_000;
export const maxLinks = 100_000;

const address = z.object({ host: text({ min: 1, max: 253 }), port, protocol: word });
const location = z
  .object({
    region: name.nullish(),
    zone: name.nullish(),
    lat: z.number().min(-90).max(90).nullish(),
    lon: z.number().min(-180).max(180).nullish(),
    networkZone: name.nullish(),
    securityZone: name.nullish(),
  })
  .refine(({ lat, lon }) => (lat == null) === (lon == null), 'expected lat and lon together');
const amount = z.number().min(0).max(1e9);
const resources = z.object({
  cpuCores: amount.nullish(),
  memoryGb: amount.nullish(),
  storageGb: amount.nullish(),
  bandwidthGbps: amount.nullish(),
  maxConnections: z.number().int().min(0).max(1_000_000).nullish(),
});
const failover = z
  .object({
    mode: z.enum(failoverModes).nullish(),
    heartbeatIntervalMs: z.number().int().min(50).max(3_600_000),
    timeoutMs: z.number().int().min(100).max(86_400_000),
    backupNodes: z.array(id).max(10).nullish(),
  })
  .refine((value) => value.timeoutMs > value.heartbeatIntervalMs, 'expected timeoutMs above heartbeatIntervalMs');

const nodeFields = {
  name: name.nullish(),
  roleId: text({ max: 255 }).nullish(),
  function: word.nullish(),
  agentId: text({ min: 1, max: 255 }).nullish(),
  capabilities: names.nullish(),
  address: address.nullish(),
  location: location.nullish(),
  resources: resources.nullish(),
  failover: failover.nullish(),
};
export const node = z.object({
  ...nodeFields,
  id: id.nullish(),
  kind: word,
  status: word,
  required: z.boolean(),
});
export type NodeInput = z.output<typeof node>;
export const nodePatch = z.object({ ...nodeFields, required: z.boolean().optional() });
export type NodePatch = z.output<typeof nodePatch>;

const linkFigures = {
  weight: share.nullish(),
  capacityMbps: capacity.nullish(),
  latencyMs: ms.nullish(),
  jitterMs: ms.nullish(),
  lossRate: share.nullish(),
  reliability: share.nullish(),
  costPerGb: cost.nullish(),
  energyPerGb: cost.nullish(),
};
export const link = z.object({
  ...linkFigures,
  sourceId: id,
  targetId: id,
  type: word,
  direction: word,
  status: word,
});
export type LinkInput = z.output<typeof link>;
export const linkPatch = z.object({ ...linkFigures, status: word.nullish() });
export type LinkPatch = z.output<typeof linkPatch>;

export const linkDefaults = z.object({
  capacityMbps: capacity.nullish(),
  latencyMs: ms.nullish(),
  jitterMs: ms.nullish(),
  lossRate: share.nullish(),
  reliability: share.nullish(),
  costPerGb: cost.nullish(),
  energyPerGb: cost.nullish(),
});
export type LinkDefaults = z.output<typeof linkDefaults>;

const figureWeight = z.number().min(0).max(1_000_000);
const routingWeights = z
  .object({
    ...{ latency: figureWeight, jitter: figureWeight, loss: figureWeight, failure: figureWeight },
    ...{ cost: figureWeight, energy: figureWeight, zoneChange: figureWeight, preference: figureWeight },
  })
  .refine((weights) => Object.values(weights).some((weight) => weight > 0), 'expected a figure of some weight');
const balancing = word.transform((value) => value.toLowerCase()).pipe(z.enum(balancings));
const backupPaths = z.number().int().min(0).max(3);

export const config = z.object({
  reserveShare: z.number().min(0).max(0.9).nullish(),
  burst: z.number().min(1).max(10).nullish(),
  classShares: z
    .object({ realTime: share, interactive: share, bulk: share, management: share })
    .refine(
      ({ realTime, interactive, bulk, management }) => realTime + interactive + bulk + management <= 1 + 1e-9,
      'expected shares of at most 1 together',
    )
    .nullish(),
  maxConnections: z.number().int().min(0).max(1_000_000).nullish(),
  phiThreshold: z.number().min(1).max(100).nullish(),
  hotSpotUtilization: z.number().gt(0).max(1).nullish(),
  routing: z.enum(routingAlgorithms).nullish(),
  routingWeights: routingWeights.nullish(),
  balancing: balancing.nullish(),
  discovery: z.enum(discoveries).nullish(),
  discoveryDomain: text({ min: 1, max: 200 })
    .regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i, 'expected a domain')
    .nullish(),
  discoveryRefreshMs: z.number().int().min(1_000).max(28_800_000).nullish(),
  backupPaths: backupPaths.nullish(),
  totalBandwidthMbps: capacity.nullish(),
  circuit: z
    .object({
      failures: z.number().int().min(0).max(100),
      windowMs: z.number().int().min(1_000).max(3_600_000),
      openMs: z.number().int().min(100).max(3_600_000),
    })
    .nullish(),
});
export type ConfigInput = z.output<typeof config>;

/** Of the frozen form: its keys are camelCase. */
const governance = z
  .object({
    lifecyclePhase: text({ min: 1, max: 255 }).nullish(),
    truthDomain: text({ min: 1, max: 255 }).nullish(),
    locked: z.boolean().nullish(),
  })
  .transform((given) => Object.fromEntries(Object.entries(given).filter(([, value]) => value != null)));

const approval = z
  .object({ ...approverFields, disruptionTolerance: z.number().min(0).max(1) })
  .refine(approverRules[0].holds, approverRules[0].expected)
  .refine(approverRules[1].holds, approverRules[1].expected)
  .transform(({ disruptionTolerance, ...asked }) => ({ ...toApprovers(asked), disruptionTolerance }));

export const create = z.object({
  contextId: id,
  name,
  description: text({ max: 10_000 }).nullish(),
  topologyType: word,
  nodes: z.array(node).min(1).max(maxNodes),
  links: z.array(link).max(maxLinks).nullish(),
  linkDefaults: linkDefaults.nullish(),
  redundancyK: z.number().int().min(1).max(10).nullish(),
  fanOut: z.number().int().min(2).max(20),
  config: config.nullish(),
  governance: governance.nullish(),
  approval: approval.nullish(),
  provision: z.boolean(),
  idempotencyKey: idempotencyKey.nullish(),
});
export type CreateInput = z.output<typeof create>;

export const importFile = z.object({
  contextId: id,
  name: name.nullish(),
  format: word,
  text: z.string().min(1),
  linkDefaults: linkDefaults.nullish(),
  config: config.nullish(),
  approval: approval.nullish(),
  allowDisconnected: z.boolean(),
  provision: z.boolean(),
  dryRun: z.boolean(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const patch = z.object({
  name: name.nullish(),
  description: text({ max: 10_000 }).nullish(),
  config: config.nullish(),
  governance: governance.nullish(),
  approval: approval.nullish(),
});

/** How long a connection waits for a way. */
const waitMs = z.number().int().min(0).max(3_600_000);

export const requirements = z.object({
  bandwidthMbps: capacity,
  latencyMaxMs: ms.gt(0).nullish(),
  jitterMaxMs: ms.nullish(),
  packetLossMax: z.number().min(0).lt(1).nullish(),
  reliability: z.number().gt(0).max(1).nullish(),
  failoverSupport: z.boolean(),
  routing: z.enum(routingAlgorithms).nullish(),
  routingWeights: routingWeights.nullish(),
  backupPaths: backupPaths.nullish(),
  rerouteMs: waitMs.nullish(),
});

const endpoint = z.object({
  nodeId: id,
  agentId: text({ min: 1, max: 255 }).nullish(),
  port: port.nullish(),
  protocol: word.nullish(),
});

export const establish = z.object({
  networkId: id,
  type: word,
  source: endpoint,
  destination: endpoint,
  requirements: requirements.nullish(),
  trafficClass: word,
  priority: z.number().int().min(0).max(10),
  probe: z.boolean(),
  waitMs: waitMs.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});
export type EstablishInput = z.output<typeof establish>;

export const change = z.object({
  removeNodes: z.array(id).max(1_000).nullish(),
  removeLinks: z.array(id).max(1_000).nullish(),
  addLinks: z.array(link).max(1_000).nullish(),
});
export type ChangeInput = z.output<typeof change>;

const goal = z.number().min(0).max(100);
export const optimize = z.object({
  networkId: id,
  demands: z
    .array(z.object({ source: id, target: id, mbps: capacity.gt(0), maxLatencyMs: ms.gt(0).nullish() }))
    .min(1)
    .max(10_000)
    .nullish(),
  goals: z
    .object({ latency: goal, throughput: goal, balance: goal, cost: goal })
    .refine(({ latency, throughput, balance, cost: costs }) => latency + throughput + balance + costs > 0, {
      message: 'expected a goal of some weight',
    })
    .nullish(),
  maxMoves: z.number().int().min(0).nullish(),
  disruptionTolerance: z.number().min(0).max(1).nullish(),
  timeBudgetMs: z.number().int().min(50).max(30_000),
  seed: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1),
  apply: z.boolean(),
  idempotencyKey: idempotencyKey.nullish(),
});
export type OptimizeInput = z.output<typeof optimize>;

export const join = z.object({
  networkId: id,
  name: name.nullish(),
  agentId: text({ min: 1, max: 255 }).nullish(),
  capabilities: names.nullish(),
  attachTo: z.array(id).min(1).max(20).nullish(),
  linkDefaults: linkDefaults.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const reportMetrics = z.object({
  networkId: id,
  links: z
    .array(
      z.object({
        linkId: id,
        latencyMs: ms.nullish(),
        jitterMs: ms.nullish(),
        lossRate: share.nullish(),
        throughputMbps: capacity.nullish(),
      }),
    )
    .min(1)
    .max(1_000),
});

export const registerService = z.object({
  networkId: id,
  name,
  version: z.string().regex(/^\d{1,6}\.\d{1,6}\.\d{1,6}(-[0-9A-Za-z.-]{1,50})?$/, 'expected a version like 1.2.3'),
  providerNodeId: id,
  endpoints: z.array(address).min(1).max(20),
  capabilities: names.nullish(),
  weight: z.number().min(0).max(1_000),
  ttlMs: z.number().int().min(1_000).max(86_400_000).nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

/** How long a connection that asks for it waits for an answer, ms. */
export const defaultProbeMs = 1_000;
export const probe = z.object({
  networkId: id,
  nodeId: id,
  timeoutMs: z.number().int().min(50).max(5_000),
  idempotencyKey: idempotencyKey.nullish(),
});

const calls = z.number().int().min(0).max(1_000_000);
export const nodeCalls = z.object({
  networkId: id,
  nodeId: id,
  succeeded: calls,
  failed: calls,
  reason: text({ max: 2_000 }).nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const serviceQuery = z.object({
  networkId: id,
  name: name.nullish(),
  capabilities: names.nullish(),
  version: text({ min: 1, max: 100 }).nullish(),
  near: id.nullish(),
  balancing: balancing.nullish(),
});

export const seekServices = z.object({
  query: serviceQuery,
  first: z.number().int().min(1).max(100),
  waitMs: z.number().int().min(0).max(5_000),
  idempotencyKey: idempotencyKey.nullish(),
});
export type SeekInput = z.output<typeof seekServices>;

export const sendMessage = z.object({
  networkId: id,
  senderId: id,
  strategy: word,
  recipients: z.array(id).min(1).max(1_000).nullish(),
  priority: word,
  reliability: word,
  payload: json({ maxBytes: 65_536 }),
  ttlMs: z.number().int().min(100).max(86_400_000),
  idempotencyKey: idempotencyKey.nullish(),
});

export const filter = z.object({
  contextId: id.nullish(),
  status: z.array(word).max(10).nullish(),
  topologyType: z.array(word).max(10).nullish(),
  namePattern: text({ min: 1, max: 255 }).nullish(),
});
