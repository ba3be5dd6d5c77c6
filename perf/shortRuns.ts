/**
 * For Node processes that live for seconds, in tests and smoke runs: most of them die before their garbage would fill
 * this heap, and collecting with every core is quicker but dearer where the cores are busy. A start takes 3.1 instead of
 * 3.9 s of CPU, and a platform that waits 20 s takes 1.1 instead of 1.9, since V8 does not collect to give memory back.
 * What is measured starts as `npm start` does.
 */
export const shortRunFlags: readonly string[] = [
  '--single-threaded-gc',
  '--min-semi-space-size=32',
  '--max-semi-space-size=64',
  '--initial-old-space-size=400',
  '--no-memory-reducer',
];
