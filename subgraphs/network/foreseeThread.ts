import { type AlertKind, type AlertSeries, alertsOf, type NetworkAlertValue } from './forecast/alerts.ts';

export interface ForeseeTask {
  readonly networks: readonly { readonly series: AlertSeries; readonly standing: readonly AlertKind[] }[];
}

export const foresee = ({ networks }: ForeseeTask): readonly (readonly NetworkAlertValue[])[] =>
  networks.map(({ series, standing }) => alertsOf(series, standing));
