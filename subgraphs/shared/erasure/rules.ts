/** What stays as it is although it names the subject, and why. */
export interface ErasureExemption {
  readonly table: string;
  /** @default all of the table's */
  readonly columns?: readonly string[];
  readonly reason: string;
}

/** What was derived of a subject's data. `$1` is the tenant, `$2` the subject. */
export interface DerivedData {
  readonly table: string;
  /** Condition on the row `t`. */
  readonly where: string;
  /** Assignments; the row is deleted where there are none. */
  readonly set?: string;
  /** Rows of another table that belong to the deleted one by its `id`; they are not counted. */
  readonly parts?: { readonly table: string; readonly of: string };
  /** Goes only where what the subject wrote is redacted. @default false */
  readonly withContent?: boolean;
}

/** What an erasure must know of a module's tables beside what the catalogue says. */
export interface ErasureRules {
  readonly exempt?: readonly ErasureExemption[];
  /** Comes first, while rows still name the subject. */
  readonly derived?: readonly DerivedData[];
  /** Search vectors that are written with their rows, by table: the expression over a row's alias. Rows are found by `id`. */
  readonly search?: Readonly<Record<string, (alias: string) => string>>;
  /** Columns that are computed of another one, by table. */
  readonly computed?: Readonly<
    Record<string, { readonly column: string; readonly of: string; readonly compute: (value: unknown) => string }>
  >;
}

/** Holds for every module. */
export const auditExemption: ErasureExemption = {
  table: 'audit',
  reason:
    'the sealed audit is the record that the law and its verification ask for (GDPR Art. 17(3)(b) and (e)); it ends with AUDIT_RETENTION_DAYS',
};
