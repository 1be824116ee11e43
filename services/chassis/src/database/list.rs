//! Lists that clients read, part by part, in the same way for each table.

use contracts::OwnerFilter;
use contracts::list::{List, ListRequest, Part};
use contracts::page::{Listed, PageRequest};
use sqlx::PgConnection;

use super::{Connections, Place, Range, StoreError};

/// A table that clients read as a list.
pub trait ListedTable {
    /// The list that it is.
    type List: List;
    /// A row as clients see it.
    type Item: Send;

    /// What names an item.
    fn id(item: &Self::Item) -> IdOf<Self>;

    /// How many items within the limit have this status, or are there.
    fn count(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        status: Option<StatusOf<Self>>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// An item's place in the list, if it is within the limit.
    fn place(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        id: IdOf<Self>,
    ) -> impl Future<Output = Result<Option<Place>, StoreError>> + Send;

    /// The items within the limit in this range of the index that has what is asked for.
    fn range(
        connection: &mut PgConnection,
        within: &OwnerFilter,
        asked: &ListRequest<Self::List>,
        range: Range,
    ) -> impl Future<Output = Result<Vec<Self::Item>, StoreError>> + Send;

    /// Whether there is no index for all of what is asked for, so that the range holds others as well.
    #[must_use]
    fn is_sifted(_: &ListRequest<Self::List>) -> bool {
        false
    }

    /// Whether an item of such a range is one of those that are asked for.
    #[must_use]
    fn is_wanted(_: &ListRequest<Self::List>, _: &Self::Item) -> bool {
        true
    }
}

type IdOf<T> = <<T as ListedTable>::List as List>::Id;
type StatusOf<T> = <<T as ListedTable>::List as List>::Status;

/// A part of a list within the limit; `None` if there is no item to go on behind.
pub async fn read_list<T: ListedTable>(
    connections: &Connections,
    within: &OwnerFilter,
    asked: &ListRequest<T::List>,
) -> Result<Option<Listed<T::Item, IdOf<T>>>, StoreError> {
    let mut connection = connections.take_for(within).await?;
    let listed = match asked.part {
        Part::Page(page) => Some(read_page::<T>(&mut connection, within, asked, page).await?),
        Part::Slice { behind: None, limit } => {
            Some(read_slice::<T>(&mut connection, within, asked, None, limit).await?)
        }
        Part::Slice { behind: Some(item), limit } => match T::place(&mut connection, within, item).await? {
            Some(place) => Some(read_slice::<T>(&mut connection, within, asked, Some(place), limit).await?),
            None => None,
        },
    };
    connection.keep();
    Ok(listed)
}

async fn read_page<T: ListedTable>(
    connection: &mut PgConnection,
    within: &OwnerFilter,
    asked: &ListRequest<T::List>,
    page: PageRequest,
) -> Result<Listed<T::Item, IdOf<T>>, StoreError> {
    let total = T::count(connection, within, asked.filter.status).await?;
    // OFFSET walks over every row that it skips; beyond the end it would walk over all of them.
    let items = if page.offset() < total {
        T::range(connection, within, asked, Range::page(asked, page)).await?
    } else {
        Vec::new()
    };
    Ok(Listed::page(page, total, items, T::id))
}

async fn read_slice<T: ListedTable>(
    connection: &mut PgConnection,
    within: &OwnerFilter,
    asked: &ListRequest<T::List>,
    behind: Option<Place>,
    limit: u32,
) -> Result<Listed<T::Item, IdOf<T>>, StoreError> {
    let most = if T::is_sifted(asked) { PageRequest::MAX_LIMIT } else { limit };
    let items = T::range(connection, within, asked, Range::slice(asked, behind, most)).await?;
    Ok(Listed::sifted(items, most, limit, |item| T::is_wanted(asked, item), T::id))
}
