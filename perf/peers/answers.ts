import { isDeepStrictEqual } from 'node:util';
import { bodyOf, type OperationName, operationNames, peerOperations } from './graph/operations.ts';
import { answerByReference } from './graph/reference.ts';

/**
 * `bytes`: the same text, white space around it aside. `order`: the same value, keys of objects in another order.
 */
export type Equality = 'bytes' | 'order';

export interface ExpectedAnswer {
  readonly operation: OperationName;
  readonly body: string;
  readonly answer: string;
}

/** Every question of the comparison and what the reference answers. */
export function expectedAnswers(): readonly ExpectedAnswer[] {
  return operationNames.flatMap((operation) =>
    peerOperations[operation].variables.map((variables) => ({
      operation,
      body: bodyOf(operation, variables),
      answer: answerByReference(peerOperations[operation].query, variables),
    })),
  );
}

/**
 * Holds the body of an answer against the expected one.
 * @throws {Error} when it is another answer; the message shows where they part.
 */
export function compareAnswer(body: string, expected: string): Equality {
  if (body.trim() === expected) return 'bytes';
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Error(`expected JSON, got ${body.slice(0, 200)}`);
  }
  if (isDeepStrictEqual(value, JSON.parse(expected))) return 'order';
  const at = [...expected].findIndex((character, index) => character !== body[index]);
  throw new Error(
    `expected …${expected.slice(Math.max(0, at - 60), at + 60)}…, got …${body.slice(Math.max(0, at - 60), at + 200)}…`,
  );
}

export interface AnsweredQuestion extends ExpectedAnswer {
  /** The body as this peer writes it, to the byte. */
  readonly own: string;
  readonly equality: Equality;
}

/**
 * Asks every question once, each with another Authorization.
 * @throws {Error} when a peer answers anything else than the reference, or not with 200.
 */
export async function askEverything(
  url: string,
  options: { readonly expected: readonly ExpectedAnswer[]; readonly authorizationOf: (index: number) => string },
): Promise<readonly AnsweredQuestion[]> {
  const answered: AnsweredQuestion[] = [];
  for (const [index, question] of options.expected.entries()) {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        authorization: options.authorizationOf(index),
      },
      body: question.body,
    });
    const own = await response.text();
    if (response.status !== 200)
      throw new Error(`${question.operation}: expected 200, got ${response.status}: ${own.slice(0, 300)}`);
    try {
      answered.push({ ...question, own, equality: compareAnswer(own, question.answer) });
    } catch (error) {
      throw new Error(`${question.operation}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return answered;
}
