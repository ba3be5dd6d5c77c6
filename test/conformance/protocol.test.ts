import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type EventEnvelope,
  envelopeOf,
  learningKindOf,
  type ProtocolViolation,
  protocolModules,
  validateEvent,
  validateIntegrationEvent,
  validateLearningSample,
  validateProtocolObject,
} from '../../schema/protocol/index.ts';
import {
  faultOf,
  frozenExamples,
  frozenFiles,
  frozenFlows,
  frozenJson,
  frozenMutants,
  frozenOracle,
  frozenPresent,
  isModule,
} from './frozen.ts';
import { changed, changes } from './mutate.ts';
import { type Mutant, sampleMutants } from './sample/mutants.ts';
import { sampleEvents, sampleObjects } from './sample/objects.ts';

const from = frozenPresent ? 'the frozen data' : 'the BUNDLED SAMPLE ONLY (../shared/conformance is absent)';
const faultsOf = (violations: readonly ProtocolViolation[]): string[] =>
  [...new Set(violations.map((v) => faultOf(v.path, v.keyword, v.property)))].sort();

function expectRefusedAsSaid({ module, object, expected }: Mutant): void {
  const violations = validateProtocolObject(module, object);
  expect(faultsOf(violations)).toEqual([faultOf(expected.path, expected.keyword, expected.property)]);
  expect(violations[0]?.message).toMatch(/^expected .+, got .+/s);
}

describe(`protocol objects, against ${from}`, () => {
  it.each(sampleMutants.map((m) => [m.id, m] as const))('refuses the sample mutant %s', (_, mutant) => {
    expectRefusedAsSaid(mutant);
  });

  it.each([...protocolModules])('accepts the full and the smallest sample %s', (module) => {
    const object: unknown = sampleObjects[module];
    expect(validateProtocolObject(module, object)).toEqual([]);
    const smallest: object = Object(structuredClone(object));
    for (const key of Object.keys(smallest)) {
      const without = { ...smallest };
      Reflect.deleteProperty(without, key);
      const violations = validateProtocolObject(module, without);
      if (violations.length === 0) Reflect.deleteProperty(smallest, key);
      else expect(faultsOf(violations)).toEqual([faultOf('/', 'required', key)]);
    }
    expect(Object.keys(smallest)).toContain('meta');
    expect(Object.keys(smallest)).not.toContain('events');
  });

  it.each(Object.entries(sampleEvents))('accepts the sample %s event and finds its envelope', (envelope, event) => {
    expect(envelopeOf(event)).toBe(envelope);
    expect(validateEvent(event)).toEqual([]);
    const { event_id: _, ...without } = event;
    expect(faultsOf(validateEvent(without))).toEqual([faultOf('/', 'required', 'event_id')]);
  });
});

describe('without the frozen schemas as oracle', () => {
  it.each([...protocolModules])('reports an added key and a wrong type anywhere in a %s', (module) => {
    const object: object = Object(sampleObjects[module]);
    for (const key of Object.keys(object)) {
      const wrong = { ...object, [key]: 7 };
      expect(faultsOf(validateProtocolObject(module, wrong))).toContain(faultOf(`/${key}`, 'type'));
    }
    expect(faultsOf(validateProtocolObject(module, { ...object, x: 1 }))).toEqual([
      faultOf('/', 'additionalProperties', 'x'),
    ]);
  });
});

describe.runIf(frozenPresent)('against the frozen data', () => {
  const mutants = frozenPresent ? frozenMutants() : [];
  const oracle = frozenPresent ? frozenOracle() : () => [];

  it('has the mutants of all ten modules to check', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(219);
    expect(new Set(mutants.map((m) => m.module))).toEqual(new Set(protocolModules));
  });

  it('refuses every mutant with its pointer, keyword and property, and nothing else', () => {
    for (const mutant of mutants) expectRefusedAsSaid(mutant);
  });

  it('refuses the invalid fixtures with every fault the frozen schema finds', () => {
    for (const file of frozenFiles('fixtures/invalid')) {
      const module = file.split('_')[0];
      if (!isModule(module)) throw new Error(`whose fixture is ${file}?`);
      const faults = faultsOf(validateProtocolObject(module, frozenJson(`fixtures/invalid/${file}`)));
      expect(faults).toEqual(oracle(`mplp-${module}.schema.json`, frozenJson(`fixtures/invalid/${file}`)));
      expect(faults).not.toEqual([]);
    }
  });

  it('accepts every module example and every object of every recorded flow', () => {
    const objects = [...frozenExamples(), ...frozenFlows().flatMap((flow) => flow.objects)];
    expect(objects.length).toBeGreaterThanOrEqual(20);
    for (const { label, module, object } of objects) {
      expect([label, validateProtocolObject(module, object)]).toEqual([label, []]);
    }
    expect(validateEvent(frozenJson('schemas/v2/examples/event.valid.json'))).toEqual([]);
  });

  it('accepts the integration examples', () => {
    const folder = 'examples/integration';
    expect(validateIntegrationEvent('ci', frozenJson(`${folder}/ci-build-finished.json`))).toEqual([]);
    expect(validateIntegrationEvent('git', frozenJson(`${folder}/git-push.json`))).toEqual([]);
    expect(validateIntegrationEvent('file_update', frozenJson(`${folder}/ide-file-save.json`))).toEqual([]);
    expect(validateIntegrationEvent('tool', frozenJson(`${folder}/tool-execution.json`))).toEqual([]);
  });

  it('accepts the learning examples, whose event tags the frozen schema itself refuses', () => {
    const schemas = { core: 'core', intent: 'intent', delta: 'delta', run: '' };
    for (const file of frozenFiles('examples/learning')) {
      const sample = frozenJson(`examples/learning/${file}`);
      expect(validateLearningSample(sample)).toEqual([]);
      const faults = oracle(`learning/mplp-learning-sample-${schemas[learningKindOf(sample)]}.schema.json`, sample);
      expect(faults.length).toBeGreaterThan(0);
      for (const fault of faults) expect(fault).toMatch(/^\["\/meta\/source_event_ids\/\d+","format",null\]$/);
    }
  });

  it('agrees with the frozen schemas on every changed object', () => {
    const starts = [
      ...protocolModules.map((module) => ({ module, object: sampleObjects[module] as unknown })),
      ...frozenExamples(),
      ...frozenFlows().flatMap((flow) => flow.objects),
    ];
    let refused = 0;
    fc.assert(
      fc.property(fc.constantFrom(...starts), changes, ({ module, object }, list) => {
        const value = changed(object, list);
        const faults = faultsOf(validateProtocolObject(module, value));
        if (faults.length > 0) refused += 1;
        expect(faults).toEqual(oracle(`mplp-${module}.schema.json`, value));
      }),
      { numRuns: 6_000 },
    );
    expect(refused).toBeGreaterThan(3_000);
  });

  it('agrees with the frozen schemas on every changed event', () => {
    const schemas: { [E in EventEnvelope]: string } = {
      core: 'events/mplp-event-core.schema.json',
      graph_update: 'events/mplp-graph-update-event.schema.json',
      pipeline_stage: 'events/mplp-pipeline-stage-event.schema.json',
      runtime_execution: 'events/mplp-runtime-execution-event.schema.json',
      single_agent: 'events/mplp-sa-event.schema.json',
      multi_agent: 'events/mplp-map-event.schema.json',
      base: 'common/events.schema.json',
    };
    const names: EventEnvelope[] = [
      'core',
      'graph_update',
      'pipeline_stage',
      'runtime_execution',
      'single_agent',
      'multi_agent',
      'base',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...names), changes, (name, list) => {
        const value = changed(sampleEvents[name], list);
        expect(faultsOf(validateEvent(value, name))).toEqual(oracle(schemas[name], value));
        expect(faultsOf(validateEvent(value))).toEqual(oracle(schemas[envelopeOf(value)], value));
      }),
      { numRuns: 3_000 },
    );
  });

  it('agrees with the frozen schemas on changed integration events and learning samples', () => {
    const starts = [
      ['ci-build-finished', 'ci', 'ci'],
      ['git-push', 'git', 'git'],
      ['ide-file-save', 'file_update', 'file-update'],
      ['tool-execution', 'tool', 'tool'],
    ] as const;
    fc.assert(
      fc.property(fc.constantFrom(...starts), changes, ([file, kind, schema], list) => {
        const value = changed(frozenJson(`examples/integration/${file}.json`), list);
        expect(faultsOf(validateIntegrationEvent(kind, value))).toEqual(
          oracle(`integration/mplp-${schema}-event.schema.json`, value),
        );
      }),
      { numRuns: 500 },
    );
    const id = '0a7f3c52-91d4-4e0b-8c6a-000000000300';
    const time = '2026-03-14T09:26:00Z';
    const head = { sample_id: id, created_at: time, meta: { project_id: id, quality_score: 0.5 } };
    const samples = {
      core: { ...head, sample_family: 'other', input: {}, output: {}, state: {} },
      intent: {
        ...head,
        sample_family: 'intent_resolution',
        input: { intent_id: 'i', raw_request_summary: 'r', dialog_turns_count: 2 },
        state: { project_phase: 'p', psg_node_count: 1, existing_plan_count: 0 },
        output: { final_intent_summary: 'f', plan_id: id, plan_step_count: 1, resolution_quality_label: 'good' },
      },
      delta: {
        ...head,
        sample_family: 'delta_impact',
        input: { delta_id: 'd', intent_id: 'i', delta_type: 'pivot', change_summary: 'c' },
        state: { affected_artifact_count: 1, risk_level: 'low', psg_complexity_score: 0.5 },
        output: { actual_impact_summary: 'a', impact_scope: 'local', comp_plan_required: true, rollback_used: false },
      },
      run: {
        sample_id: id,
        project_id: 'p',
        success_flag: true,
        timestamps: { started_at: time },
        token_usage: { total_tokens: 1, by_agent: [{ agent_id: 'a', tokens: 1 }] },
        user_feedback: { decision: 'approve', rating: 4 },
        impact_score: 0.2,
        pipeline_path: ['a'],
        error_info: { error_code: 'e' },
        delta_intents: [{}],
      },
    };
    fc.assert(
      fc.property(fc.constantFrom('core', 'intent', 'delta', 'run'), changes, (kind, list) => {
        const value = changed(samples[kind], list);
        const path =
          kind === 'run' ? 'common/learning-sample.schema.json' : `learning/mplp-learning-sample-${kind}.schema.json`;
        expect(faultsOf(validateLearningSample(value, kind))).toEqual(oracle(path, value));
      }),
      { numRuns: 1_000 },
    );
  });
});
