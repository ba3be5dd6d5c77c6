export { callOptions } from './inputs/common.ts';
export * from './inputs/conflicts.ts';
export * from './inputs/decisions.ts';
export * from './inputs/sessions.ts';
export * from './inputs/work.ts';
