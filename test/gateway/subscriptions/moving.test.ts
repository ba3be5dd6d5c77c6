import { expect, it } from 'vitest';
import { createPrincipal } from '#shared/principal.ts';
import type { Group } from '../../../gateway/subscriptions/group.ts';
import { Subscriber, type SubscriberOptions } from '../../../gateway/subscriptions/subscriber.ts';

/** A group whose stream stands at 5, and who has joined it. */
function openGroup() {
  const members = new Set<Subscriber>();
  const group = {
    follower: { position: 5, broken: undefined },
    join: (member: Subscriber) => void members.add(member),
    leave: (member: Subscriber) => void members.delete(member),
  };
  return { members, group: group as unknown as Group };
}

it('who is moved in the turn it has joined a group joins the next one', async () => {
  const [one, two] = [openGroup(), openGroup()];
  const gate = { decide: () => 'deliver' as const };
  const subscriber = new Subscriber({
    ...{ group: one.group, gate, position: 5, principal: createPrincipal({ tenantId: 'one', subject: 'ann' }) },
    ...({ sink: {}, metrics: {}, onEnd: () => {} } as unknown as SubscriberOptions),
  });
  subscriber.start();
  expect(one.members).toContain(subscriber);
  subscriber.move({ gate, group: two.group });
  await new Promise((resolve) => setImmediate(resolve));
  expect(one.members).not.toContain(subscriber);
  expect(two.members).toContain(subscriber);
});
