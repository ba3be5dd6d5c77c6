/** When the module's periodic jobs run. */
export const platformCrontab: readonly string[] = ['13 * * * * platform.sweepLogs'];
