// A tally of one's own: quadratic voting. Each voter has credits; n votes for an option cost n * n of them.
function refuse(code, message) {
  const error = new Error(message);
  error.code = code;
  throw error;
}

export class QuadraticTally {
  tally({ options, ballots, credits = 100 }) {
    const totals = new Map(options.map((option) => [option, 0]));
    const voters = new Set();
    for (const { voter, votes } of ballots) {
      if (voters.has(voter)) refuse('VOTED_TWICE', `${voter} has voted twice`);
      voters.add(voter);
      let spent = 0;
      for (const [option, count] of Object.entries(votes)) {
        if (!totals.has(option)) refuse('UNKNOWN_OPTION', `there is no option ${option}`);
        if (!Number.isInteger(count)) refuse('FRACTIONAL_VOTE', 'votes are whole');
        spent += count * count;
        totals.set(option, totals.get(option) + count);
      }
      if (spent > credits) refuse('CREDITS_EXCEEDED', `${voter} spent ${spent} of ${credits} credits`);
    }
    // Equal totals keep the order in which the options were given.
    const ranking = options
      .map((option, place) => ({ option, votes: totals.get(option), place }))
      .sort((a, b) => b.votes - a.votes || a.place - b.place)
      .map(({ option, votes }) => ({ option, votes }));
    const [first, second] = ranking;
    const tie = second !== undefined && first.votes === second.votes;
    return { ranking, winner: tie ? null : first.option, tie, voters: voters.size };
  }
}
