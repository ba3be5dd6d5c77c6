export { type Advance, advance, type StepMove, type StepStatus } from './advance.ts';
export {
  type CompiledStep,
  type CompiledWorkflow,
  compileWorkflow,
  WorkflowError,
  type WorkflowFault,
} from './compile.ts';
export {
  type ApproverSelection,
  type ApproverSpec,
  approverSelections,
  type ConsensusCriterion,
  type ConsensusDefinition,
  type ConsensusOption,
  type EscalationLevel,
  type StepDefinition,
  type StepKind,
  type StepTimeout,
  type TimeoutAction,
  type WorkflowDefinition,
  type WorkflowType,
  workflowTypes,
} from './definition.ts';
