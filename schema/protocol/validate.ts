import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import type { ProtocolModule } from './common.ts';
import { type EventEnvelope, envelopeOf, eventShapes } from './events.ts';
import { type IntegrationKind, integrationShapes } from './integration.ts';
import { type LearningKind, learningKindOf, learningShapes } from './learning.ts';
import { protocolShapes } from './objects.ts';
import type { Shape } from './shape.ts';
import { type DocumentBounds, inspectStorable } from './storable.ts';
import { type ProtocolViolation, violationOf } from './violation.ts';

/** Above this number of values a bad document is judged up to its first fault, so that a flood of faults costs no memory. */
export const maxValuesJudgedWhole = 20_000;

/** No answer carries more violations than this. */
export const maxViolations = 1_000;

/** Two compiled forms of one shape: the quick one stops at the first fault, the thorough one names them all. */
interface Compiled {
  quick: ValidateFunction;
  thorough: () => ValidateFunction;
}

function createCompiler(): (shape: Shape<unknown>) => Compiled {
  const options = { strict: true, validateSchema: false, verbose: true, addUsedSchema: false } as const;
  const first = new Ajv(options);
  const all = new Ajv({ ...options, allErrors: true });
  formats.default(first);
  formats.default(all);
  return (shape) => {
    let thorough: ValidateFunction | undefined;
    return { quick: first.compile(shape.schema), thorough: () => (thorough ??= all.compile(shape.schema)) };
  };
}

/** Validates values against shapes; each shape is compiled at its first use and kept. */
function createJudge(): (shape: Shape<unknown>, value: unknown, bounds?: DocumentBounds) => ProtocolViolation[] {
  const compile = createCompiler();
  const compiledOf = new WeakMap<Shape<unknown>, Compiled>();
  return (shape, value, bounds) => {
    const storable = inspectStorable(value, bounds);
    if (storable.unbounded) return storable.violations;
    let compiled = compiledOf.get(shape);
    if (!compiled) {
      compiled = compile(shape);
      compiledOf.set(shape, compiled);
    }
    if (compiled.quick(value)) return storable.violations;
    const judge = storable.values > maxValuesJudgedWhole ? compiled.quick : compiled.thorough();
    judge(value);
    const errors = judge.errors ?? [];
    judge.errors = null;
    return distinct([...errors.slice(0, maxViolations).map(violationOf), ...storable.violations]);
  };
}

function distinct(violations: ProtocolViolation[]): ProtocolViolation[] {
  const seen = new Set<string>();
  return violations.filter((violation) => {
    const key = JSON.stringify([violation.path, violation.keyword, violation.property, violation.message]);
    return seen.size < seen.add(key).size;
  });
}

const judge = createJudge();

/** What is wrong with one object of a module; empty when it is a document of the protocol. */
export function validateProtocolObject(
  module: ProtocolModule,
  value: unknown,
  bounds?: DocumentBounds,
): ProtocolViolation[] {
  return judge(protocolShapes[module], value, bounds);
}

/** What is wrong with one stream event, judged by the envelope it claims or by the one named. */
export function validateEvent(event: unknown, envelope: EventEnvelope = envelopeOf(event)): ProtocolViolation[] {
  return judge(eventShapes[envelope], event);
}

/** What is wrong with a report of a tool around the platform. */
export function validateIntegrationEvent(kind: IntegrationKind, event: unknown): ProtocolViolation[] {
  return judge(integrationShapes[kind], event);
}

/** What is wrong with a learning sample, judged as the kind it claims to be. */
export function validateLearningSample(
  sample: unknown,
  kind: LearningKind = learningKindOf(sample),
): ProtocolViolation[] {
  return judge(learningShapes[kind], sample);
}
