import type { Config } from '#shared/config.ts';
import type { RiskCutoffs } from './risk.ts';

/** What a tenant's approvals are held to, as configured. */
export interface ConfirmLimits {
  /** How often a part may be passed on, where its step does not say less. */
  readonly maxDelegations: number;
  /** Holders of a role that are asked at once. */
  readonly maxParallel: number;
  readonly riskCutoffs: RiskCutoffs;
  /** Open confirms of a tenant. */
  readonly maxOpen: number;
  /** Open confirms that one has asked for. */
  readonly maxOpenOfRequester: number;
}

export function readConfirmLimits(config: Config): ConfirmLimits {
  return {
    maxDelegations: config.CONFIRM_DELEGATION_DEPTH,
    maxParallel: config.CONFIRM_PARALLEL_APPROVERS,
    riskCutoffs: config.CONFIRM_RISK_CUTOFFS,
    maxOpen: config.QUOTA_OPEN_CONFIRMS ?? (config.production ? 50_000 : 10_000),
    maxOpenOfRequester: config.QUOTA_OPEN_CONFIRMS_PER_REQUESTER ?? (config.production ? 20_000 : 5_000),
  };
}
