import { type Ranking, type RankTask, rank } from './recommend/rank.ts';

/** What a thread of the compute pool runs. */
export function recommend(task: RankTask): Ranking {
  return rank(task);
}
