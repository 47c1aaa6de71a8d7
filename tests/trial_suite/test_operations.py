"""Operations in the hands of trial's own tools, which know nothing but Deferreds."""

from __future__ import annotations

from twisted.internet import defer
from twisted.trial.unittest import SynchronousTestCase, TestCase

from winsockets import AsyncOperation, OperationCanceledError


class SynchronousOperations(SynchronousTestCase):
    """What a test without a reactor can say of an operation."""

    def test_a_result_is_there_at_once(self) -> None:
        """``successResultOf`` takes the result of an operation that has ended."""
        self.assertEqual(self.successResultOf(AsyncOperation.from_result(7)), 7)

    def test_a_pending_operation_has_no_result(self) -> None:
        """``assertNoResult`` holds until the producer gives the value."""
        operation: AsyncOperation[str] = AsyncOperation()
        self.assertNoResult(operation)
        operation.callback("later")
        self.assertEqual(self.successResultOf(operation), "later")

    def test_a_failure_is_consumed_by_who_expects_it(self) -> None:
        """``failureResultOf`` traps Twisted's class for a cancelled operation, and nothing is logged."""
        operation: AsyncOperation[str] = AsyncOperation()
        operation.cancel()
        failure = self.failureResultOf(operation, defer.CancelledError)
        self.assertIsInstance(failure.value, OperationCanceledError)


class ReturnedOperations(TestCase):
    """What a test that trial waits for can do with an operation."""

    def test_trial_waits_for_a_returned_operation(self) -> AsyncOperation[int]:
        """An operation is as good a return value as any Deferred."""
        from twisted.internet import reactor

        operation: AsyncOperation[int] = AsyncOperation()
        reactor.callLater(0, operation.callback, 7)
        return operation

    async def test_a_coroutine_test_awaits_operations(self) -> None:
        """``await`` gives the result, the second time too."""
        operation = AsyncOperation.from_result("once")
        self.assertEqual([await operation, await operation], ["once", "once"])

    def test_an_operation_fails_as_expected(self) -> defer.Deferred[object]:
        """``assertFailure`` sees the exception itself."""
        return self.assertFailure(
            AsyncOperation.from_error(OperationCanceledError("stopped")), OperationCanceledError
        )

    async def test_an_expected_failure_is_awaited_as_its_exception(self) -> None:
        """``await`` gives what ``assertFailure`` made of the operation, the second time too."""
        operation: AsyncOperation[str] = AsyncOperation()
        expected = self.assertFailure(operation, OperationCanceledError)
        operation.cancel()
        problem = await expected
        self.assertIsInstance(problem, OperationCanceledError)
        self.assertIs(await operation, problem)
