import { type Ranked, type RankTask, rank } from './recommend/rank.ts';

/** What a thread of the compute pool runs. */
export function recommend(task: RankTask): readonly Ranked[] {
  return rank(task);
}
