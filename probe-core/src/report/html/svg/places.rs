//! Finds room for labels between marks.

/// Rectangles that are occupied.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<Rectangle>);

/// Left, top, width, height.
type Rectangle = [f64; 4];

impl Places {
    /// Occupies a rectangle, whatever is there.
    pub(crate) fn take(&mut self, rectangle: Rectangle) {
        self.0.push(rectangle);
    }

    /// Occupies the first of these that is free and within `bounds`.
    pub(crate) fn first_free(
        &mut self,
        tried: impl IntoIterator<Item = Rectangle>,
        bounds: Rectangle,
    ) -> Option<Rectangle> {
        let free = |rectangle: &Rectangle| {
            within(*rectangle, bounds) && !self.0.iter().any(|taken| meet(*rectangle, *taken))
        };
        let found = tried.into_iter().find(free)?;
        self.take(found);
        Some(found)
    }
}

fn within([left, top, width, height]: Rectangle, [x, y, across, down]: Rectangle) -> bool {
    left >= x && top >= y && left + width <= x + across && top + height <= y + down
}

fn meet([left, top, width, height]: Rectangle, [x, y, across, down]: Rectangle) -> bool {
    left < x + across && x < left + width && top < y + down && y < top + height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_goes_where_nothing_is() {
        let mut places = Places::default();
        let bounds = [0.0, 0.0, 100.0, 100.0];
        places.take([10.0, 10.0, 20.0, 10.0]);
        let tried = [[25.0, 5.0, 20.0, 10.0], [-5.0, 50.0, 20.0, 10.0], [30.0, 10.0, 20.0, 10.0]];
        // The first overlaps an occupied one, the second leaves the drawing, the third only
        // touches.
        assert_eq!(places.first_free(tried, bounds), Some(tried[2]));
        assert_eq!(places.first_free(tried, bounds), None);
    }
}
