/**
 * What a measured server is told beside its defaults: the guide's quotas are meant for people and would stop a load
 * of one tenant. The report prints them.
 */
export const perfProfile: Readonly<Record<string, string>> = {
  ROLE_MAX_DEPTH: '15',
  QUOTA_CONTEXTS_PER_USER: '10000000',
  QUOTA_CONTEXTS_PER_TENANT: '10000000',
  QUOTA_OPEN_CONFIRMS: '10000000',
  QUOTA_OPEN_CONFIRMS_PER_REQUESTER: '10000000',
  RATE_LIMIT_SUBJECT: '1000000000',
  RATE_LIMIT_ADDRESS: '1000000000',
  CORE_STATUS_PER_MINUTE: '1000000000',
  CORE_HEALTH_PER_MINUTE: '1000000000',
  CORE_WORKFLOWS_PER_MINUTE: '1000000000',
  CORE_ALLOCATIONS_PER_MINUTE: '1000000000',
  CORE_EVENTS_PER_MINUTE: '1000000000',
  QUOTA_MESSAGES_PER_MINUTE: '1000000',
  QUOTA_DIALOG_PARTICIPANTS: '10000',
  SUBSCRIPTIONS_PER_SUBJECT: '1000000',
  SUBSCRIPTIONS_PER_INSTANCE: '1000000',
};

/** Turns the response cache off: the second column. */
export const cachesOff: Readonly<Record<string, string>> = { CACHE: 'off' };
