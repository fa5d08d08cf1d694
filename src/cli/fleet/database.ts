// Contents of many hosts in DuckDB, and what is asked about them. The files are read where they lie; what does not fit into memory goes to disk.

import type { DuckDBConnection } from '@duckdb/node-api'
import { optional } from '../../../bench/optional.ts'
import { PagefoldError } from '../../index.ts'
import { type FileMetadata, METADATA_KEY } from './contents-file.ts'

/** A value that a query gives. */
type Row = Readonly<Record<string, unknown>>

export class FleetDatabase {
  private readonly connection: DuckDBConnection

  private constructor(connection: DuckDBConnection) {
    this.connection = connection
  }

  /**
   * Opens the files of a directory. Throws ENOENT if DuckDB is not installed or there are none; EINVAL for files that `census --out` has not
   * written, or not all with one key.
   */
  static async open(dir: string): Promise<FleetDatabase> {
    const { DuckDBInstance } = await optional('@duckdb/node-api')
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    const database = new FleetDatabase(connection)
    try {
      const files = `${dir}/*.parquet`
      await connection.run(`CREATE VIEW files AS SELECT * FROM read_parquet(${quoted(files)})`)
      await database.expectOneKey(files)
      return database
    } catch (cause) {
      database.close()
      if (cause instanceof PagefoldError) throw cause
      const message = (cause as Error).message.split('\n')[0]!
      if (message.includes('No files found'))
        throw new PagefoldError('ENOENT', `${dir}: no .parquet files in it`, { cause })
      throw new PagefoldError('EINVAL', `${dir}: cannot be read as contents of censuses (${message})`, {
        cause,
      })
    }
  }

  /** All rows that a query gives; its whole numbers as numbers. */
  async rows(sql: string): Promise<Row[]> {
    const reader = await this.connection.runAndReadAll(sql)
    return reader
      .getRowObjects()
      .map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, asNumber(value)])))
  }

  close(): void {
    this.connection.closeSync()
  }

  private async expectOneKey(files: string): Promise<void> {
    const found = await this.rows(
      `SELECT file_name, decode(value) AS value FROM parquet_kv_metadata(${quoted(files)}) WHERE decode(key) = '${METADATA_KEY}'`,
    )
    const named = found.map(({ file_name, value }) => ({
      name: String(file_name),
      zero: (JSON.parse(String(value)) as FileMetadata).zero,
    }))
    const [{ count } = { count: 0 }] = await this.rows(`SELECT count(*) AS count FROM glob(${quoted(files)})`)
    if (named.length < Number(count)) {
      throw new PagefoldError('EINVAL', `${files}: not all are written by \`pagefold census --out\``)
    }
    const other = named.find(({ zero }) => zero !== named[0]!.zero)
    if (other !== undefined) {
      throw new PagefoldError(
        'EINVAL',
        `${other.name}: made with another --key than ${named[0]!.name}: fingerprints of two keys have nothing to do with each other`,
      )
    }
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function asNumber(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}
