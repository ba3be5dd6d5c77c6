import { randomUUID } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { isSameProcess, markProcess } from './processes.ts';

/** Which running processes use the server of a data folder. Only valid while the folder is held. */
export interface Users {
  /** Living processes that hold the server, without those that ended unheard. */
  count(): number;
  add(): string;
  remove(id: string): void;
}

const waitMs = 60_000;

/**
 * Holds the data folder alone while starting or stopping its server; two starts at once take turns.
 * The lock is SQLite's, because the kernel frees it when its holder is killed, which a lock file cannot promise.
 * @throws {Error} when another process holds the folder for longer than a minute.
 */
export async function holdFolder<T>(dataDir: string, work: (users: Users) => Promise<T>): Promise<T> {
  const file = join(dataDir, 'postgres.lock');
  const db = new DatabaseSync(file);
  try {
    chmodSync(file, 0o600);
    await begin(db, dataDir);
    db.exec('CREATE TABLE IF NOT EXISTS user (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, started_at TEXT NOT NULL)');
    try {
      return await work(usersOf(db));
    } finally {
      db.exec('COMMIT');
    }
  } finally {
    db.close();
  }
}

async function begin(db: DatabaseSync, dataDir: string): Promise<void> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      // What stands here is about running processes: a crash of the machine may lose it.
      db.exec('PRAGMA synchronous = OFF');
      db.exec('BEGIN EXCLUSIVE');
      return;
    } catch (error) {
      const busy = error instanceof Error && /locked|busy/i.test(error.message);
      if (!busy) throw error;
      if (performance.now() > deadline) {
        throw new Error(`another process has been starting or stopping the database in ${dataDir} for over a minute`, {
          cause: error,
        });
      }
      await sleep(20);
    }
  }
}

function usersOf(db: DatabaseSync): Users {
  return {
    count() {
      const rows = db.prepare('SELECT id, pid, started_at FROM user').all();
      return rows.filter((row) => {
        if (isSameProcess({ pid: Number(row['pid']), startedAt: String(row['started_at']) })) return true;
        this.remove(String(row['id']));
        return false;
      }).length;
    },
    add() {
      const id = randomUUID();
      const mark = markProcess(process.pid)!;
      db.prepare('INSERT INTO user (id, pid, started_at) VALUES (?, ?, ?)').run(id, mark.pid, mark.startedAt);
      return id;
    },
    remove(id) {
      db.prepare('DELETE FROM user WHERE id = ?').run(id);
    },
  };
}
