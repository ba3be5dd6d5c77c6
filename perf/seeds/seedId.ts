/** Finaliser of MurmurHash3 (Austin Appleby, 2011). */
function mix(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Kinds of seeded rows: equal numbers of different kinds have different ids. */
export const seedKinds = {
  context: 1,
  contextParticipant: 2,
  dialog: 3,
  dialogParticipant: 4,
  message: 5,
  trace: 8,
  confirm: 6,
  confirmTarget: 7,
  plan: 20,
  step: 21,
  dependency: 22,
  network: 40,
  networkNode: 41,
  networkLink: 42,
  extension: 45,
  extensionRelease: 46,
  extensionCapability: 47,
  workflow: 50,
  tunedWorkflow: 52,
  workflowExecution: 51,
  collaboration: 30,
  collabTask: 31,
  logRecord: 60,
  auditRow: 61,
  historyEvent: 62,
} as const;

/**
 * UUID v4 of a seeded row, computed by whoever knows its number: seeds and clients need not exchange lists. The bits
 * are as scattered as those of random ids, so indexes behave as they do in earnest.
 */
export function seedId(kind: keyof typeof seedKinds, index: number, inner = 0): string {
  const salt = Math.imul(seedKinds[kind], 0x9e3779b9);
  const first = mix(index + salt);
  const second = mix(first ^ Math.imul(inner + 1, 0x85ebca77));
  const third = mix(second + index);
  const fourth = mix(third ^ inner);
  const hex = (word: number): string => word.toString(16).padStart(8, '0');
  const [b, c] = [hex(second), hex(third)];
  const variant = '89ab'[(third >>> 28) & 3];
  return `${hex(first)}-${b.slice(0, 4)}-4${b.slice(5)}-${variant}${c.slice(1, 4)}-${c.slice(4)}${hex(fourth)}`;
}
