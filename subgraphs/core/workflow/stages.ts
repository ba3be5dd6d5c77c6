/** What a stage asks its module for: what lies in the context of the execution. */
const lists: Readonly<Record<string, string>> = {
  plan: 'plans',
  role: 'roles',
  confirm: 'confirms',
  trace: 'traces',
  extension: 'extensions',
  dialog: 'dialogs',
  collab: 'collaborations',
  network: 'networks',
};
const perStage = 50;
const context = '$'.concat('{execution.contextId}');

export const stageModules: readonly string[] = ['context', ...Object.keys(lists)];

/** The step that a stage is, as a client would have written it. */
export function stepOfStage(stage: string) {
  const module = stage.toLowerCase();
  return module === 'context'
    ? { stepId: module, module, action: 'context', input: { contextId: context } }
    : { stepId: module, module, action: lists[module]!, input: { filter: { contextId: context }, first: perStage } };
}
