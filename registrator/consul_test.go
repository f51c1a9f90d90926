package registrator_test

import (
	"context"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// against runs tests one after the other against one server, which takes longer to
// start than any of them runs.
func against(t *testing.T, acls bool, tests map[string]func(*testing.T, *mesh)) {
	t.Helper()
	server := testmesh.TestConsul(t, testmesh.ConsulConfig{NoACL: !acls})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, newMesh(t, server)) })
	}
}

func TestConsul(t *testing.T) {
	against(t, false, map[string]func(*testing.T, *mesh){
		"Sync":                            testSync,
		"DriftIsRepaired":                 testDriftIsRepaired,
		"WhatOthersPutThereSurvives":      testWhatOthersPutThereSurvives,
		"ForeignThingsAreLeftAlone":       testForeignThingsAreLeftAlone,
		"FailedListingDeletesNothing":     testFailedListingDeletesNothing,
		"DeletionIsConfirmed":             testDeletionIsConfirmed,
		"Protocol":                        testProtocol,
		"DatacenterThatConsulDoesNotKnow": testDatacenterThatConsulDoesNotKnow,
		"CaseOfNames":                     testCaseOfNames,
		"MassDeletionStops":               testMassDeletionStops,
		"OrderOfWrites":                   testOrderOfWrites,
		"EntryChangedMeanwhile":           testEntryChangedMeanwhile,
		"FailedReadOfConsulWritesNothing": testFailedReadOfConsulWritesNothing,
		"AccountThatFails":                testAccountThatFails,
		"TwoFunctionsOneService":          testTwoFunctionsOneService,
		"TwoRegistratorsTwoAccounts":      testTwoRegistratorsTwoAccounts,
		"Transactions":                    testTransactions,
		"TransactionTooLarge":             testTransactionTooLarge,
		"RefusedOperation":                testRefusedOperation,
		"ServiceChangedBeforeRemoval":     testServiceChangedBeforeRemoval,
		"AdoptionFromConsulsRegistrator":  testAdoptionFromConsulsRegistrator,
		"LongestNamesAndTags":             testLongestNamesAndTags,
		"LockLostWhileWriting":            testLockLostWhileWriting,
		"Listing":                         testListing,
		"ListChangedMeanwhile":            testListChangedMeanwhile,
		"ConsulInTrouble":                 testConsulInTrouble,
		"ListingThatLags":                 testListingThatLags,
		"TaggingDenied":                   testTaggingDenied,
		"EndInMidSync":                    testEndInMidSync,
		"EnterpriseFlagWithoutEnterprise": testEnterpriseFlagWithoutEnterprise,
		"ConsulRestarts":                  testConsulRestarts,
		"Look":                            testLook,
		"RunsAreTold":                     testRunsAreTold,
		"URLs":                            testURLs,
		"LookAfterTheFact":                testLookAfterTheFact,
		"LookThatFails":                   testLookThatFails,
		"LookElsewhere":                   testLookElsewhere,
		"LookDuringListing":               testLookDuringListing,
		"LookThatIsOvertaken":             testLookThatIsOvertaken,
		"ConflictThatComesAgain":          testConflictThatComesAgain,
		"SettingsOfOneThatRuns":           testSettingsOfOneThatRuns,
		"Spans":                           testSpans,
		"NoSpans":                         testNoSpans,
		"Queue":                           testQueue,
		"QueueInTrouble":                  testQueueInTrouble,
		"QueueOfTwoReplicas":              testQueueOfTwoReplicas,
		"RunGoesOnUntilConsulIsThere":     testRunGoesOnUntilConsulIsThere,
	})
}

func TestConsulWithACLs(t *testing.T) {
	against(t, true, map[string]func(*testing.T, *mesh){
		"RecommendedPolicy":            testRecommendedPolicy,
		"LockElectsOne":                testLockElectsOne,
		"ReplicaIsKilledInMidSync":     testReplicaIsKilledInMidSync,
		"TokenRevokedInMidSync":        testTokenRevokedInMidSync,
		"ReplicaIsEndedInMidSync":      testReplicaIsEndedInMidSync,
		"ListingDenied":                testListingDenied,
		"DocumentedPolicy":             testDocumentedPolicy,
		"FilteredAnswersDeleteNothing": testFilteredAnswersDeleteNothing,
	})
}

// eventually polls until nothing is wrong any more.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	if err := testmesh.Poll(testmesh.Context(t), func(context.Context) error { return check() }); err != nil {
		t.Fatal(err)
	}
}
