import type { MutationResolvers, QueryResolvers } from '../resolvers.generated.ts';

export const monitoringQueries = {
  metricDefinitions: (_parent, { name }, { service, scope }) => service.monitoring.definitions(scope, name ?? null),
  metricSeries: (_parent, { query, ...range }, { service, scope }) =>
    service.monitoring.series(scope, query, range) as never,
  metricSnapshot: (_parent, { names }, { service, scope }) => service.monitoring.snapshot(scope, names ?? null),
  dashboards: (_parent, _args, { service, scope }) => service.monitoring.dashboards(scope),
  dashboard: (_parent, { dashboardId }, { service, scope }) => service.monitoring.dashboard(scope, dashboardId),
  renderDashboard: (_parent, { dashboardId, variables, ...range }, { service, scope }) =>
    service.monitoring.renderDashboard(scope, dashboardId, range, variables) as never,
  alertRules: (_parent, _args, { service, scope }) => service.monitoring.rules(scope),
  alerts: (_parent, { states }, { service, scope }) => service.monitoring.alerts(scope, states ?? null),
  notificationChannels: (_parent, _args, { service, scope }) => service.notifications.channels(scope),
  notifications: (_parent, { status }, { service, scope }) =>
    service.notifications.notifications(scope, status ?? null),
} satisfies QueryResolvers;

export const monitoringMutations = {
  recordMetricSamples: async (_parent, { samples, idempotencyKey }, { service, scope }) => ({
    recorded: await service.monitoring.record(scope, samples, idempotencyKey),
    userErrors: [],
  }),
  createDashboard: async (_parent, { input, idempotencyKey: key }, { service, scope }) => ({
    dashboard: await service.monitoring.putDashboard(scope, input, { dashboardId: null, key: key ?? null }),
    userErrors: [],
  }),
  updateDashboard: async (
    _parent,
    { input, dashboardId, expectedVersion, idempotencyKey: key },
    { service, scope },
  ) => ({
    dashboard: await service.monitoring.putDashboard(scope, input, {
      dashboardId,
      expectedVersion: expectedVersion ?? null,
      key: key ?? null,
    }),
    userErrors: [],
  }),
  deleteDashboard: async (_parent, { dashboardId, expectedVersion, idempotencyKey }, { service, scope }) => ({
    dashboardId: await service.monitoring.deleteDashboard(scope, dashboardId, expectedVersion, idempotencyKey),
    userErrors: [],
  }),
  createAlertRule: async (_parent, { input, idempotencyKey: key }, { service, scope }) => ({
    rule: await service.monitoring.putRule(scope, input, { alertRuleId: null, key: key ?? null }),
    userErrors: [],
  }),
  updateAlertRule: async (
    _parent,
    { input, alertRuleId, expectedVersion, idempotencyKey: key },
    { service, scope },
  ) => ({
    rule: await service.monitoring.putRule(scope, input, {
      alertRuleId,
      expectedVersion: expectedVersion ?? null,
      key: key ?? null,
    }),
    userErrors: [],
  }),
  deleteAlertRule: async (_parent, { alertRuleId, expectedVersion, idempotencyKey }, { service, scope }) => ({
    alertRuleId: await service.monitoring.deleteRule(scope, alertRuleId, expectedVersion, idempotencyKey),
    userErrors: [],
  }),
  acknowledgeAlert: async (_parent, { alertId, idempotencyKey }, { service, scope }) => ({
    alert: await service.monitoring.acknowledge(scope, alertId, idempotencyKey),
    userErrors: [],
  }),
  putNotificationChannel: async (_parent, { input, idempotencyKey }, { service, scope }) => ({
    channel: await service.notifications.putChannel(scope, input, idempotencyKey),
    userErrors: [],
  }),
  deleteNotificationChannel: async (_parent, { name, idempotencyKey }, { service, scope }) => ({
    name: await service.notifications.deleteChannel(scope, name, idempotencyKey),
    userErrors: [],
  }),
} satisfies MutationResolvers;
