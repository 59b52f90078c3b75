//! Rows on their way into a statement.
//!
//! A statement takes a list of rows as two parameters: a JSON array of the places where rows begin, and a
//! blob with the rows themselves. A row is a number of slots of 20 bytes, and behind them the texts that slots
//! point at. SQLite reads a slot with `substr`, which copies nothing but the value: long documents pass
//! through no JSON parser, and whoever asks for a change writes its rows before it queues for the writer.

use fastlead_core::error::{Error, Result};
use serde::Serialize;
use uuid::Uuid;

use super::fault::unwritable;

/// Bytes of a slot: the digits of any 64-bit number with its sign.
const SLOT: usize = 20;
/// What stands for no number.
const NO_NUMBER: i64 = i64::MIN;

/// SQL that reads slot `$slot` of the row at `j.value` in the blob `$heap`, as an id of 16 bytes.
macro_rules! id {
    ($heap:literal, $slot:literal) => {
        concat!("substr(", $heap, ", j.value + ", $slot, " * 20, 16)")
    };
}

/// The same, `NULL` where there is none.
macro_rules! maybe_id {
    ($heap:literal, $slot:literal) => {
        concat!("nullif(substr(", $heap, ", j.value + ", $slot, " * 20, 16), zeroblob(16))")
    };
}

/// As a number.
macro_rules! int {
    ($heap:literal, $slot:literal) => {
        concat!("CAST(substr(", $heap, ", j.value + ", $slot, " * 20, 20) AS INTEGER)")
    };
}

/// As a number, `NULL` where there is none.
macro_rules! maybe_int {
    ($heap:literal, $slot:literal) => {
        concat!(
            "nullif(CAST(substr(",
            $heap,
            ", j.value + ",
            $slot,
            " * 20, 20) AS INTEGER), -9223372036854775808)"
        )
    };
}

/// As a text.
macro_rules! text {
    ($heap:literal, $slot:literal) => {
        concat!(
            "CAST(substr(",
            $heap,
            ", j.value + CAST(substr(",
            $heap,
            ", j.value + ",
            $slot,
            " * 20, 10) AS INTEGER), CAST(substr(",
            $heap,
            ", j.value + ",
            $slot,
            " * 20 + 10, 10) AS INTEGER)) AS TEXT)"
        )
    };
}

/// As a text, `NULL` where it is empty.
macro_rules! maybe_text {
    ($heap:literal, $slot:literal) => {
        concat!("nullif(", text!($heap, $slot), ", '')")
    };
}

pub(super) use {id, int, maybe_id, maybe_int, maybe_text, text};

/// Rows of one kind.
#[derive(Debug, Default)]
pub(super) struct List {
    heap: Vec<u8>,
    starts: Vec<usize>,
}

impl List {
    /// Begins a row of `slots` slots, which are then filled one after another.
    pub(super) fn row(&mut self, slots: usize) -> Row<'_> {
        let start = self.heap.len();
        self.starts.push(start);
        self.heap.resize(start + slots * SLOT, 0);
        Row { heap: &mut self.heap, start, next: start, fault: None }
    }

    /// Adds the rows of another list.
    pub(super) fn append(&mut self, other: &Self) {
        let base = self.heap.len();
        self.heap.extend_from_slice(&other.heap);
        self.starts.extend(other.starts.iter().map(|start| base + start));
    }

    /// The two parameters. SQLite counts bytes from 1.
    pub(super) fn parameters(self) -> (String, Vec<u8>) {
        let mut places = String::with_capacity(2 + self.starts.len() * 7);
        places.push('[');
        for (index, start) in self.starts.iter().enumerate() {
            if index > 0 {
                places.push(',');
            }
            places.push_str(itoa(start + 1, &mut [0; SLOT]));
        }
        places.push(']');
        (places, self.heap)
    }
}

/// A row that is being written.
#[derive(Debug)]
pub(super) struct Row<'a> {
    heap: &'a mut Vec<u8>,
    start: usize,
    next: usize,
    fault: Option<Error>,
}

impl Row<'_> {
    fn slot(&mut self) -> &mut [u8] {
        let slot = self.next;
        self.next += SLOT;
        &mut self.heap[slot..slot + SLOT]
    }

    pub(super) fn id(&mut self, id: Uuid) -> &mut Self {
        self.slot()[..16].copy_from_slice(id.as_bytes());
        self
    }

    /// No id is all zeros.
    pub(super) fn maybe_id(&mut self, id: Option<Uuid>) -> &mut Self {
        self.id(id.unwrap_or(Uuid::nil()))
    }

    pub(super) fn int(&mut self, number: i64) -> &mut Self {
        let slot = self.slot();
        slot.fill(b'0');
        if number < 0 {
            slot[0] = b'-';
        }
        let mut rest = number.unsigned_abs();
        let mut place = SLOT;
        while rest > 0 {
            place -= 1;
            slot[place] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        self
    }

    pub(super) fn maybe_int(&mut self, number: Option<i64>) -> &mut Self {
        self.int(number.unwrap_or(NO_NUMBER))
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        let from = self.heap.len();
        self.heap.extend_from_slice(text.as_bytes());
        self.points_at(from)
    }

    /// An empty text reads back as none.
    pub(super) fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        self.text(text.unwrap_or_default())
    }

    /// A value as a JSON document.
    pub(super) fn json(&mut self, value: &impl Serialize, what: &'static str) -> &mut Self {
        let from = self.heap.len();
        if serde_json::to_writer(&mut *self.heap, value).is_err() {
            self.fault = Some(unwritable(what));
        }
        self.points_at(from)
    }

    fn points_at(&mut self, from: usize) -> &mut Self {
        let (offset, length) = (from - self.start, self.heap.len() - from);
        let slot = self.slot();
        slot.fill(b'0');
        for (half, number) in [(0..10, offset), (10..20, length)] {
            let mut digits = [0; SLOT];
            let digits = itoa(number, &mut digits).as_bytes();
            slot[half.end - digits.len()..half.end].copy_from_slice(digits);
        }
        self
    }

    /// The row is whole.
    pub(super) fn end(&mut self) -> Result<()> {
        self.fault.take().map_or(Ok(()), Err)
    }
}

/// The digits of a number.
fn itoa(number: usize, buffer: &mut [u8; SLOT]) -> &str {
    let mut place = SLOT;
    let mut rest = number;
    loop {
        place -= 1;
        buffer[place] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    std::str::from_utf8(&buffer[place..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_what_sqlite_reads() {
        let ids = [Uuid::from_u128(u128::MAX), Uuid::from_u128(7)];
        let numbers = [0, 1, -1, 42, i64::MAX, i64::MIN + 1, -1_000_000_007];
        let texts = ["", "x", "Казань 🦷 \u{202e}", "a\"b'c\0d\n"];
        let mut list = List::default();
        let mut others = Vec::new();
        let mut wanted = Vec::new();
        for (index, number) in numbers.into_iter().enumerate() {
            let (id, text) = (ids[index % 2], texts[index % 4]);
            let none = index % 3 == 0;
            let mut part = List::default();
            part.row(7)
                .id(id)
                .maybe_id((!none).then_some(id))
                .int(number)
                .maybe_int((!none).then_some(number))
                .text(text)
                .maybe_text((!none).then_some(text))
                .json(&vec![text], "a text")
                .end()
                .unwrap();
            others.push(part);
            wanted.push((id, none, number, text));
        }
        for part in &others {
            list.append(part);
        }
        let sql = concat!(
            "SELECT ",
            id!("$2", 0),
            ", ",
            maybe_id!("$2", 1),
            ", ",
            int!("$2", 2),
            ", ",
            maybe_int!("$2", 3),
            ", ",
            text!("$2", 4),
            ", ",
            maybe_text!("$2", 5),
            ", ",
            text!("$2", 6),
            " FROM json_each($1) j"
        );
        let (places, heap) = list.parameters();
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let query = sqlx::query(AssertSqlSafe(sql)).bind(places).bind(heap);
        let rows = query.fetch_all(&mut connection).await.unwrap();
        assert_eq!(rows.len(), wanted.len());
        for (row, (id, none, number, text)) in rows.iter().zip(wanted) {
            assert_eq!(row.get::<Vec<u8>, _>(0), id.as_bytes());
            assert_eq!(row.get::<Option<Vec<u8>>, _>(1), (!none).then(|| id.as_bytes().to_vec()));
            assert_eq!(row.get::<i64, _>(2), number);
            assert_eq!(row.get::<Option<i64>, _>(3), (!none).then_some(number));
            assert_eq!(row.get::<String, _>(4), text);
            let maybe = (!none && !text.is_empty()).then(|| text.to_owned());
            assert_eq!(row.get::<Option<String>, _>(5), maybe);
            assert_eq!(row.get::<String, _>(6), serde_json::to_string(&vec![text]).unwrap());
        }
    }
}
