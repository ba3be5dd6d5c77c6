const dayMs = 86_400_000;

/** Version of a data set whose rows lie in the last days: with the next day it is made anew, before their partitions go. */
export const dayVersion = (version: number): number => version * 100_000 + Math.floor(Date.now() / dayMs);
