//! Writes one part: packing, hashing and disk in a thread of its own, so that making rows never waits for them long.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use parquet::basic::{Compression as PageCompression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use sha2::{Digest, Sha256};

use super::{Compression, GenerateOptions};
use crate::snapshot::{Fault, Kind, Part, Sha256Hex, SnapshotError};

const BLOCK_BYTES: usize = 256 << 10;
const BLOCKS_WAITING: usize = 4;
const ROWS_PER_GROUP: usize = 65_536;

/// A part under way.
pub(super) struct PartWriter {
    file: String,
    kind: Kind,
    rows: u64,
    block: String,
    blocks: Option<SyncSender<String>>,
    thread: Option<JoinHandle<Result<Sha256Hex, Fault>>>,
}

impl PartWriter {
    pub(super) fn create(options: &GenerateOptions, kind: Kind) -> Result<Self, SnapshotError> {
        let ending = match options.compression {
            Compression::Plain => "csv",
            Compression::Gzip => "csv.gz",
            Compression::Zstd => "csv.zst",
            Compression::Parquet => "parquet",
        };
        let file = format!("{kind}.{ending}");
        let (sender, receiver) = sync_channel(BLOCKS_WAITING);
        let (path, compression) = (options.dir.join(&file), options.compression);
        let thread = thread::Builder::new()
            .name(format!("generate-{kind}"))
            .spawn(move || write_part(&path, kind, compression, &receiver))
            .map_err(|e| Fault::Write(e).of_part(&file, None))?;
        let mut block = String::with_capacity(BLOCK_BYTES * 2);
        if compression != Compression::Parquet {
            block.push_str(&kind.columns().join(","));
            block.push('\n');
        }
        Ok(Self { file, kind, rows: 0, block, blocks: Some(sender), thread: Some(thread) })
    }

    /// Takes one row, line end included.
    pub(super) fn row(&mut self, write: impl FnOnce(&mut String)) -> Result<(), SnapshotError> {
        self.rows += 1;
        write(&mut self.block);
        if self.block.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SnapshotError> {
        let block = std::mem::replace(&mut self.block, String::with_capacity(BLOCK_BYTES * 2));
        match &self.blocks {
            Some(blocks) if blocks.send(block).is_ok() => Ok(()),
            // The thread has ended early: its error says why.
            _ => self.join().map(|_| ()),
        }
    }

    fn join(&mut self) -> Result<Sha256Hex, SnapshotError> {
        self.blocks = None;
        let outcome = self.thread.take().map(JoinHandle::join);
        match outcome {
            Some(Ok(outcome)) => outcome.map_err(|f| f.of_part(&self.file, None)),
            _ => Err(Fault::Stopped.of_part(&self.file, None)),
        }
    }

    /// Ends the part and gives its line of the manifest.
    pub(super) fn finish(mut self) -> Result<Part, SnapshotError> {
        self.flush()?;
        let sha256 = self.join()?;
        Ok(Part { file: self.file, kind: self.kind, rows: self.rows, sha256 })
    }
}

fn write_part(
    path: &Path,
    kind: Kind,
    compression: Compression,
    blocks: &Receiver<String>,
) -> Result<Sha256Hex, Fault> {
    let file = HashingWriter { file: File::create(path).map_err(Fault::Write)?, hash: Sha256::new() };
    let file = BufWriter::with_capacity(BLOCK_BYTES, file);
    let pour = |out: &mut dyn Write| blocks.iter().try_for_each(|block| out.write_all(block.as_bytes()));
    let written = match compression {
        Compression::Plain => {
            let mut out = file;
            pour(&mut out).map(|()| out)
        }
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            pour(&mut out).and_then(|()| out.finish())
        }
        Compression::Zstd => zstd::stream::write::Encoder::new(file, 1)
            .and_then(|mut out| pour(&mut out).and_then(|()| out.finish())),
        Compression::Parquet => return write_parquet(file, kind, blocks),
    };
    let file = written.and_then(|out| out.into_inner().map_err(io::IntoInnerError::into_error));
    file.map(HashingWriter::sha256).map_err(Fault::Write)
}

/// Writes all columns as text: rows with faults must be writable too.
fn write_parquet(
    file: BufWriter<HashingWriter>,
    kind: Kind,
    blocks: &Receiver<String>,
) -> Result<Sha256Hex, Fault> {
    let fields: String = kind.columns().iter().map(|c| format!("optional binary {c} (STRING);")).collect();
    let schema = parse_message_type(&format!("message {kind} {{{fields}}}")).map_err(unwritten)?;
    let pages = PageCompression::ZSTD(ZstdLevel::try_new(1).map_err(unwritten)?);
    let properties = Arc::new(WriterProperties::builder().set_compression(pages).build());
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).map_err(unwritten)?;
    let mut group = Group::new(kind);
    for block in blocks {
        for line in block.lines() {
            group.add(line);
            if group.rows == ROWS_PER_GROUP {
                group.write(&mut writer).map_err(unwritten)?;
            }
        }
    }
    if group.rows > 0 {
        group.write(&mut writer).map_err(unwritten)?;
    }
    let file = writer.into_inner().map_err(unwritten)?;
    file.into_inner().map(HashingWriter::sha256).map_err(|e| Fault::Write(e.into_error()))
}

/// What kept Parquet from being written: the disk's own word, where it is that.
fn unwritten(error: ParquetError) -> Fault {
    Fault::Write(match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    })
}

/// Rows on their way into a row group, by column.
struct Group {
    rows: usize,
    columns: Vec<(Vec<ByteArray>, Vec<i16>)>,
}

impl Group {
    fn new(kind: Kind) -> Self {
        Self { rows: 0, columns: vec![Default::default(); kind.columns().len()] }
    }

    /// Takes a line that has no quotation marks, as the generator writes them.
    fn add(&mut self, line: &str) {
        self.rows += 1;
        for ((values, levels), field) in self.columns.iter_mut().zip(line.split(',')) {
            levels.push(i16::from(!field.is_empty()));
            if !field.is_empty() {
                values.push(ByteArray::from(field));
            }
        }
    }

    fn write<W: Write + Send>(&mut self, writer: &mut SerializedFileWriter<W>) -> Result<(), ParquetError> {
        let mut group = writer.next_row_group()?;
        for (values, levels) in &mut self.columns {
            if let Some(mut column) = group.next_column()? {
                column.typed::<ByteArrayType>().write_batch(values, Some(levels), None)?;
                column.close()?;
            }
            values.clear();
            levels.clear();
        }
        self.rows = 0;
        group.close().map(|_| ())
    }
}

/// Hashes a file as it is written.
struct HashingWriter {
    file: File,
    hash: Sha256,
}

impl HashingWriter {
    fn sha256(self) -> Sha256Hex {
        Sha256Hex(self.hash.finalize().into())
    }
}

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.file.write(bytes)?;
        self.hash.update(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
