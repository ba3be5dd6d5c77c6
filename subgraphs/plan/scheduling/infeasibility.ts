/** Why no schedule exists, naming the activity and the constraint; indexes are those of the problem. */
export type Infeasibility =
  | { readonly kind: 'invalid_input'; readonly path: string; readonly expected: string; readonly got: string }
  /** The dependencies along these activities ask each to start after itself. */
  | { readonly kind: 'cycle'; readonly activities: readonly number[] }
  | {
      readonly kind: 'demand_over_capacity';
      readonly activity: number;
      readonly resource: number;
      readonly demand: number;
      /** The most the resource ever offers for the whole duration. */
      readonly capacity: number;
    }
  | {
      readonly kind: 'deadline';
      readonly activity: number;
      readonly deadline: number;
      /** No schedule found ends it earlier; where `proven`, none can. */
      readonly earliestFinish: number;
      readonly proven: boolean;
    }
  /** A running activity started before what precedes it allows. */
  | {
      readonly kind: 'fixed_start';
      readonly activity: number;
      readonly fixedStart: number;
      readonly earliestStart: number;
    }
  /** Activities that already run together take more than there is. */
  | {
      readonly kind: 'fixed_over_capacity';
      readonly activity: number;
      readonly resource: number;
      readonly time: number;
      readonly capacity: number;
    }
  /** The activity must start at or before `latestStart`, and no schedule found does so. */
  | {
      readonly kind: 'latest_start';
      readonly activity: number;
      readonly latestStart: number;
      readonly earliestStart: number;
      readonly proven: boolean;
    }
  /** The resources it needs are each there long enough, but never together. */
  | { readonly kind: 'calendar'; readonly activity: number }
  /** No list tried kept it within the greatest distance from another activity that a cycle of dependencies allows. */
  | { readonly kind: 'maximal_lag'; readonly activity: number; readonly proven: boolean };
