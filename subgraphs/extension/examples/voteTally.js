// A tally of one's own: quadratic voting. Each voter has credits; n votes for an option cost n * n of them.
function refuse(code, message) {
  const error = new Error(message);
  error.code = code;
  throw error;
}

/** Votes of what is no allocation: credits in equal parts, or in parts that fall with the place in the order. */
function votesOf(vote, credits) {
  const buys = (list, partOf) =>
    list.map((option, place) => [option, Math.floor(Math.sqrt(credits * partOf(place)) + 1e-9)]);
  switch (vote.kind) {
    case 'allocation':
      return Object.entries(vote.votes);
    case 'choice':
      return buys([vote.option], () => 1);
    case 'approvals':
      return buys(vote.options, () => 1 / vote.options.length);
    case 'ranking': {
      const all = vote.order.length;
      return buys(vote.order, (place) => (2 * (all - place)) / (all * (all + 1)));
    }
    case 'abstain':
      return [];
    default:
      return refuse('UNKNOWN_VOTE', `a vote of the kind ${vote.kind} cannot be counted`);
  }
}

const isMore = (one, other) => one - other > 1e-9 * Math.max(1, Math.abs(one), Math.abs(other));

export class QuadraticTally {
  tally({ options, ballots }, { config }) {
    const credits = config.credits ?? 100;
    const totals = new Map(options.map(({ id }) => [id, 0]));
    const voters = new Set();
    let spoiled = 0;
    for (const { voter, vote, weight = 1 } of ballots) {
      if (voter !== undefined && voters.has(voter)) refuse('VOTED_TWICE', `${voter} has voted twice`);
      voters.add(voter);
      const votes = votesOf(vote, credits);
      for (const [option, count] of votes) {
        if (!totals.has(option)) refuse('UNKNOWN_OPTION', `there is no option ${option}`);
        if (!Number.isInteger(count)) refuse('FRACTIONAL_VOTE', 'votes are whole');
      }
      // One voter who spends too much must not keep the others from being counted.
      if (votes.reduce((spent, [, count]) => spent + count * count, 0) > credits) spoiled += 1;
      else for (const [option, count] of votes) totals.set(option, totals.get(option) + weight * count);
    }
    // Equal totals keep the order in which the options were given.
    const ranking = [...totals].sort(([, one], [, other]) => (isMore(other, one) ? 1 : isMore(one, other) ? -1 : 0));
    const [[first, most]] = ranking;
    const best = ranking.filter(([, total]) => !isMore(most, total)).map(([option]) => option);
    const isWon = most > 0 && best.length === 1;
    return {
      winner: isWon ? first : null,
      tied: most > 0 && !isWon ? best : [],
      standings: ranking.map(([option, total]) => ({ option, support: Math.max(0, total) })),
      rationale: `Quadratic voting, ${credits} credits a voter${spoiled === 0 ? '' : `; ${spoiled} spent more and were not counted`}.`,
      spoiled,
    };
  }
}
