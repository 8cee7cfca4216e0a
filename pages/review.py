"""Review: people decide about rows, one by one, and what follows from it."""

import streamlit as st

from studio.review.queue_list import chosen_queue, no_queue_yet, queue_list
from studio.review.reading import read_queue
from studio.shell.resources import current, stop_without_rows

opened = current()

st.title("Review")
stop_without_rows(opened)
if no_queue_yet(opened):
    st.stop()
queue = chosen_queue(opened)
if queue is None:
    queue_list(opened)
    st.stop()
read_queue(opened, queue)
