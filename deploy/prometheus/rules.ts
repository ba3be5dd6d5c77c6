import { writeFile } from 'node:fs/promises';
import type { AlertCondition } from '../../subgraphs/platform/monitoring/alertRules.ts';
import type { MetricFunction } from '../../subgraphs/platform/monitoring/compute.ts';
import { allGuideRules, type GuideRule } from '../../subgraphs/platform/monitoring/guideRules.ts';

/** The platform's alert rules, for a Prometheus that keeps the history in its place. */
export const rulesFile = new URL('./rules.yml', import.meta.url);

/** How often targets are to be scraped at least: each window below then holds four samples. */
const scrapeSeconds = 15;

const quantiles: Partial<Record<MetricFunction, number>> = { P50: 0.5, P90: 0.9, P95: 0.95, P99: 0.99 };

/** What `computeSteps` makes of a group of series over the window, as Prometheus says it. */
function expressionOf(
  { fn, by }: { readonly fn: MetricFunction; readonly by: readonly string[] },
  [metric, labels, window]: readonly [metric: string, labels: string, window: string],
): string {
  const grouped = (aggregate: string, inner: string, also: readonly string[] = []) => {
    const names = [...also, ...by];
    return `${aggregate}${names.length === 0 ? '' : ` by (${names.join(', ')})`} (${inner})`;
  };
  const over = (call: string, part = '') => `${call}(${metric}${part}${labels}[${window}])`;
  const quantile = quantiles[fn];
  if (quantile !== undefined)
    return `histogram_quantile(${quantile}, ${grouped('sum', over('increase', '_bucket'), ['le'])})`;
  switch (fn) {
    case 'LAST':
      return grouped('avg', over('last_over_time'));
    case 'AVG':
      return grouped('avg', over('avg_over_time'));
    case 'MIN':
      return grouped('min', over('min_over_time'));
    case 'MAX':
      return grouped('max', over('max_over_time'));
    // Per hour, as ours is.
    case 'SLOPE':
      return grouped('max', `${over('deriv')} * 3600`);
    case 'INCREASE':
      return grouped('sum', over('increase'));
    case 'RATE':
      return grouped('sum', over('rate'));
    case 'MEAN':
      return `(${grouped('sum', over('increase', '_sum'))} / ${grouped('sum', over('increase', '_count'))})`;
    // Of a process that is no longer scraped there is nothing now, but there was within the window.
    case 'AGE':
      return grouped('max', `time() - max_over_time(timestamp(${metric}${labels})[${window}:${scrapeSeconds}s])`);
    default:
      throw new Error(`there is no expression for ${fn}`);
  }
}

function conditionText({ query, windowSeconds, comparison, threshold }: AlertCondition): string {
  const { metric, fn, labels, dividedBy } = query;
  const by = query.by ?? [];
  const window = `${windowSeconds}s`;
  const selected = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const matcher = selected.length === 0 ? '' : `{${selected.join(', ')}}`;
  const own = expressionOf({ fn, by }, [metric, matcher, window]);
  const shared = dividedBy === null ? null : expressionOf({ fn, by }, [dividedBy, '', window]);
  return `${shared === null ? own : `${own} / ${shared}`} ${comparison === 'ABOVE' ? '>' : '<'} ${Number(threshold.toPrecision(12))}`;
}

/** The expression of a rule: true of whom an alert is about. */
export function ruleExpression({ conditions, match = 'ANY' }: Pick<GuideRule, 'conditions' | 'match'>): string {
  const texts = conditions.map(conditionText);
  return texts.length === 1 ? texts[0]! : texts.map((text) => `(${text})`).join(match === 'ALL' ? ' and ' : ' or ');
}

const text = (value: string): string => JSON.stringify(value);

/** The file: one group, each rule under the name it has in the platform. */
export function renderRules(rules: readonly GuideRule[] = allGuideRules()): string {
  const entries = rules.map((rule) =>
    [
      `      - alert: ${rule.name}`,
      `        expr: ${text(ruleExpression(rule))}`,
      ...(rule.forSeconds > 0 ? [`        for: ${rule.forSeconds}s`] : []),
      `        labels: { severity: ${rule.severity.toLowerCase()}, action: ${rule.action.toLowerCase()} }`,
      `        annotations: { description: ${text(rule.description ?? rule.name)} }`,
    ].join('\n'),
  );
  return `# Written by \`npm run generate\` from the rules that the platform watches itself where it keeps its metrics (METRIC_HISTORY=on).
# For targets that are scraped every ${scrapeSeconds} s or more often.
groups:
  - name: mplp
    interval: ${scrapeSeconds}s
    rules:
${entries.join('\n')}
`;
}

if (import.meta.main) await writeFile(rulesFile, renderRules());
