/** When the module's periodic jobs run. */
export const platformCrontab: readonly string[] = [
  '* * * * * platform.resumeErasures',
  '13 * * * * platform.sweepLogs',
  '*/5 * * * * platform.rollUpMetrics',
  '17 * * * * platform.sweepMetrics',
  '19 * * * * platform.sweepNotifications',
  '29 * * * * platform.sweepErrors',
  '27 * * * * platform.sweepEvents',
  '32 * * * * platform.sweepCache',
  '37 * * * * platform.sweepFiles',
  '47 * * * * platform.pruneAudit',
  '52 * * * * platform.sweepTokens',
  '33 3 * * * platform.maintainKeys',
];
