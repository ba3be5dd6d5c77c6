/**
 * English function words and the filler of chat: they end a RAKE phrase (Rose et al. 2010, who use such a list) and
 * carry no weight in TF-IDF, TextRank and BM25.
 */
export const stopwords: ReadonlySet<string> = new Set(
  `a about above across after again against ago all almost alone along already also although always am among an and
  another any anybody anyone anything anyway are around as aside at away back be became because become been before
  behind being below beside besides between beyond both but by came can cannot come could d did do does doing done
  down during each either else enough etc even ever every everybody everyone everything except few following for from
  further gave get gets getting give given gives go goes going gone got had has have having he hence her here hers
  herself him himself his how however i if in indeed inside instead into is it its itself just keep kept know known
  last least less let lets like ll look made make makes making many may maybe me mean might mine more most much must
  my myself near need needed needs neither never next no nobody none nor not nothing now of off often ok okay on once
  one only onto or other others otherwise our ours ourselves out over own per perhaps please put quite rather re
  really s said same saw say says see seem seems seen several shall she should since so some somebody someone
  something sometimes somewhat still such sure t take taken taking tell than thank thanks that the their theirs them
  themselves then there therefore these they thing things think this those though through thus to together too took
  toward towards try two under until up upon us use used uses using ve very via want wants was way we well went were
  what whatever when where whether which while who whoever whole whom whose why will with within without would yes
  yet you your yours yourself yourselves
  aren't can't couldn't didn't doesn't don't hadn't hasn't haven't he'd he'll he's here's i'd i'll i'm i've isn't
  it'd it'll it's let's she'd she'll she's shouldn't that's there's they'd they'll they're they've wasn't we'd we'll
  we're we've weren't what's where's who's won't wouldn't you'd you'll you're you've`
    .split(/\s+/)
    .filter((word) => word !== ''),
);
